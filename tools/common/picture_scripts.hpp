// SPDX-License-Identifier: BSD-2-Clause
// What flame graphs do when they are clicked, searched and moved through, in the browser's language.
#pragma once

namespace kit {

constexpr const char* svg_style = R"(
text{font:12px monospace;fill:#000;pointer-events:none}
#ground{fill:#fff}#title{font-size:16px;text-anchor:middle}#search,#matched{text-anchor:end}
#title,#reset,#search,#details,#matched{fill:#333}#reset,#search{pointer-events:all;cursor:pointer}
.f{cursor:pointer}.f:hover rect,.f:focus rect{stroke:#000;stroke-width:1}.f:focus{outline:none}
.match rect{fill:#e0f!important}.dim{opacity:.5}.hidden{display:none}
@media(prefers-color-scheme:dark){#ground{fill:#1c1c1c}#title,#reset,#search,#details,#matched{fill:#ddd}}
)";

constexpr const char* svg_script = R"js(
(function(){
'use strict';
var all=[].slice.call(document.querySelectorAll('.f')),W=1200,zoomed=null,total=0;
var get=function(id){return document.getElementById(id)};
// A frame stands behind the one that calls it; what is drawn of it is only changed where it differs.
var last=[];
var frames=all.map(function(g){
  var r=g.querySelector('rect'),f={g:g,r:r,t:g.querySelector('text'),x:+r.getAttribute('x'),w:+r.getAttribute('width'),
    y:+r.getAttribute('y'),n:+g.dataset.w,full:g.querySelector('title').textContent,dim:false,hidden:false,match:false};
  f.name=f.full.replace(/ \([^(]*%\)$/,'');
  f.nx=f.x;f.nw=f.w;f.text=f.t?f.t.textContent:'';
  total=Math.max(total,f.n);
  while(last.length&&last[last.length-1].y<=f.y)last.pop();
  f.up=last[last.length-1];
  last.push(f);
  return f;
});
function fit(name,w){var room=Math.floor((w-6)/7);return name.length<=room?name:room<3?'':name.slice(0,room-2)+'..'}
function mark(f,what,on){if(f[what]!==on){f[what]=on;f.g.classList.toggle(what,on)}}
function place(f,x,w){
  if(f.nx===x&&f.nw===w)return;
  f.nx=x;f.nw=w;
  f.r.setAttribute('x',x);f.r.setAttribute('width',w);
  var text=fit(f.name,w);
  if(!f.t){
    if(!text)return;
    f.t=f.g.appendChild(document.createElementNS(f.g.namespaceURI,'text'));
    f.t.setAttribute('y',f.y+12);
  }
  f.t.setAttribute('x',x+3);
  if(f.text!==text)f.t.textContent=f.text=text;
}
function draw(){
  var x0=zoomed?zoomed.x:0,w0=zoomed?zoomed.w:W;
  frames.forEach(function(f){
    var above=!!zoomed&&f.y>zoomed.y&&f.x<=x0+.01&&f.x+f.w>=x0+w0-.01;
    var x=above?0:zoomed?(f.x-x0)*W/w0:f.x,w=above?W:zoomed?f.w*W/w0:f.w;
    var hidden=!above&&!!zoomed&&(x+w<=.01||x>=W-.01||f.y>zoomed.y);
    mark(f,'dim',above);mark(f,'hidden',hidden);
    if(!hidden)place(f,x,w);
  });
}
function zoom(f){zoomed=f;draw()}
function search(words){
  var re=null,sum=0;
  try{re=words?new RegExp(words):null}catch(e){get('matched').textContent='not a regular expression';return}
  frames.forEach(function(f){
    mark(f,'match',!!re&&re.test(f.name));
    f.covered=!!f.up&&(f.up.match||f.up.covered);
    if(f.match&&!f.covered)sum+=f.n;
  });
  get('matched').textContent=re?'Matched: '+(get('frames').dataset.cut?'at least ':'')+(100*sum/total).toFixed(1)+'%':' ';
}
function ask(){var words=prompt('Search (regular expression)');if(words!==null)search(words)}
function frameOf(e){var g=e.target.closest('.f');return g&&frames[all.indexOf(g)]}
function tell(e){var f=frameOf(e);if(f)get('details').textContent=f.full}
get('frames').addEventListener('click',function(e){var f=frameOf(e);if(f)zoom(f)});
get('frames').addEventListener('mouseover',tell);
get('frames').addEventListener('focusin',tell);
get('reset').addEventListener('click',function(){zoom(null);search('')});
get('search').addEventListener('click',ask);
document.addEventListener('keydown',function(e){
  var on=all.indexOf(document.activeElement);
  if(e.key==='Enter'&&on>=0)zoom(frames[on]);
  else if(e.key==='Escape'){zoom(null);search('')}
  else if(e.key==='/'||(e.ctrlKey&&e.key==='f')){e.preventDefault();ask()}
});
window.flame={search:search,zoom:function(name){frames.some(function(f){if(f.name===name){zoom(f);return true}})},
  reset:function(){zoom(null);search('')}};
})();
)js";

constexpr const char* html_style = R"(
:root{color-scheme:light dark}body{font:13px sans-serif;margin:8px;background:#fff;color:#222}
canvas{display:block;width:100%;cursor:pointer}canvas:focus{outline:1px solid #888}footer{height:1.4em}
header{margin-bottom:6px}#search{width:20em}
@media(prefers-color-scheme:dark){body{background:#1c1c1c;color:#ddd}}
)";

constexpr const char* html_script = R"js(
(function(){
'use strict';
var get=function(id){return document.getElementById(id)},canvas=get('graph'),pen=canvas.getContext('2d'),ROW=17;
var time=document.body.dataset.time==='1',compared=document.body.dataset.compared==='1';
var levels=[],deepest=0;
function build(raw,left,level,up){
  var node={name:raw[0],kind:raw[1],w:raw[2],change:raw[3],x:left,level:level,up:up,match:false};
  (levels[level]=levels[level]||[]).push(node);
  var at=left;
  raw[4].forEach(function(one){build(one,at,level+1,node);at+=one[2]});
  return node;
}
var root=build(JSON.parse(get('data').textContent),0,0,null),zoomed=root,on=root;
deepest=levels.length;
function hash(name){var h=2166136261;for(var i=0;i<name.length;i++)h=Math.imul(h^name.charCodeAt(i),16777619)>>>0;return h%50}
function colour(n){
  if(n.match)return'#e0f';
  if(compared&&n.kind!=='r'){
    var s=Math.max(-1,Math.min(1,5*n.change/root.w)),c=255-Math.round(Math.abs(s)*170);
    return s>=0?'rgb(255,'+c+','+c+')':'rgb('+c+','+c+',255)';
  }
  var h=hash(n.name);
  switch(n.kind){
    case'k':return'rgb('+(225+h/2)+','+(120+h)+',60)';
    case'j':return'rgb('+(90+h)+',200,'+(90+h)+')';
    case'i':return'rgb('+(70+h)+',190,'+(200+h)+')';
    case'r':return'rgb(200,200,200)';
    default:return'rgb('+(235+h%20)+','+(190+h)+','+(70+h)+')';
  }
}
function amount(w){
  if(!time)return w+(w===1?' sample':' samples');
  return w>=1e9?(w/1e9).toFixed(3)+'s':w>=1e6?(w/1e6).toFixed(3)+'ms':(w/1e3).toFixed(3)+'us';
}
function text(n){return n.name+' ('+amount(n.w)+', '+(100*n.w/root.w).toFixed(2)+'%)'}
function within(n,of){for(;n;n=n.up)if(n===of)return true;return false}
function draw(){
  var ratio=window.devicePixelRatio||1,W=canvas.clientWidth||1200;
  canvas.width=W*ratio;canvas.height=deepest*ROW*ratio;canvas.style.height=deepest*ROW+'px';
  pen.setTransform(ratio,0,0,ratio,0,0);pen.font='12px monospace';pen.textBaseline='middle';
  var scale=W/Math.max(zoomed.w,1);
  levels.forEach(function(nodes,level){
    var y=(deepest-1-level)*ROW;
    nodes.forEach(function(n){
      var above=within(zoomed,n),x=above?0:(n.x-zoomed.x)*scale,w=above?W:n.w*scale;
      if(!above&&(level<=zoomed.level||x+w<=0||x>=W))return;
      if(w<.3)return;
      pen.globalAlpha=above&&n!==zoomed?.5:1;
      pen.fillStyle=colour(n);pen.fillRect(x,y,Math.max(w-.5,.3),ROW-1);
      if(n===on){pen.strokeStyle='#000';pen.strokeRect(x+.5,y+.5,Math.max(w-1.5,1),ROW-2)}
      var room=Math.floor((w-6)/7.3);
      if(room>2){pen.fillStyle='#000';pen.fillText(n.name.length<=room?n.name:n.name.slice(0,room-2)+'..',x+3,y+ROW/2)}
      pen.globalAlpha=1;
    });
  });
}
function at(e){
  var box=canvas.getBoundingClientRect(),level=deepest-1-Math.floor((e.clientY-box.top)/ROW);
  var w=zoomed.x+(e.clientX-box.left)*zoomed.w/box.width,nodes=levels[level]||[];
  var low=0,high=nodes.length;
  while(low<high){var mid=low+high>>1;if(nodes[mid].x<=w)low=mid+1;else high=mid}
  var n=nodes[low-1];
  return n&&w<n.x+n.w?n:null;
}
function zoom(n){zoomed=on=n;get('details').textContent=text(n);draw()}
function search(words){
  var re=null,sum=0;
  try{re=words?new RegExp(words):null}catch(e){get('matched').textContent='not a regular expression';return}
  levels.forEach(function(nodes){nodes.forEach(function(n){
    n.match=!!re&&re.test(n.name);
    n.covered=n.up&&(n.up.match||n.up.covered);
    if(n.match&&!n.covered)sum+=n.w;
  })});
  get('matched').textContent=re?'Matched: '+(100*sum/Math.max(root.w,1)).toFixed(1)+'%':'';
  draw();
}
canvas.addEventListener('click',function(e){var n=at(e);if(n)zoom(n)});
canvas.addEventListener('mousemove',function(e){
  var n=at(e);canvas.title=n?text(n):'';get('details').textContent=n?text(n):'\u00a0';
});
canvas.addEventListener('keydown',function(e){
  var next=null,nodes=levels[on.level],i=nodes.indexOf(on);
  if(e.key==='ArrowDown')next=on.up;
  else if(e.key==='ArrowUp')next=(levels[on.level+1]||[]).filter(function(n){return n.up===on})[0];
  else if(e.key==='ArrowLeft')next=nodes[i-1];
  else if(e.key==='ArrowRight')next=nodes[i+1];
  else if(e.key==='Enter'){zoom(on);return}
  else if(e.key==='Escape'){zoom(root);return}
  else if(e.key==='/'){e.preventDefault();get('search').focus();return}
  if(next){e.preventDefault();on=next;get('details').textContent=text(on);draw()}
});
get('search').addEventListener('input',function(e){search(e.target.value)});
get('reset').addEventListener('click',function(){get('search').value='';search('');zoom(root)});
window.addEventListener('resize',draw);
draw();
window.flame={search:search,zoom:function(name){levels.some(function(l){return l.some(function(n){
  if(n.name===name){zoom(n);return true}})})},root:root,all:function(){return [].concat.apply([],levels)},shown:function(){return zoomed.name},
  reset:function(){get('reset').click()}};
})();
)js";

}  // namespace kit
