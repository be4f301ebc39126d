// SPDX-License-Identifier: BSD-2-Clause
#include "unwind_table.hpp"

#include <dwarf.h>
#include <elf.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace kit {
namespace {

// x86_64's numbers of registers in DWARF, and arm64's.
constexpr std::uint64_t rbp = 6, rsp = 7, return_address = 16;
constexpr std::uint64_t x29 = 29, x30 = 30, x_stack = 31;
// Encodings of pointers in .eh_frame that dwarf.h has no names for.
constexpr std::uint8_t absolute = 0x00, relative_to_itself = 0x10, omitted = 0xff;

// Reads forward in bytes that may end anywhere; once past the end all it reads is 0.
class Reader {
 public:
  Reader() = default;
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  bool failed() const { return failed_; }
  bool done() const { return failed_ || at_ >= bytes_.size(); }
  std::size_t at() const { return at_; }
  void fail() { failed_ = true; }

  template <typename Number>
  Number number() {
    Number value = 0;
    if (failed_ || bytes_.size() - at_ < sizeof value) {
      failed_ = true;
      return 0;
    }
    std::copy_n(bytes_.data() + at_, sizeof value, reinterpret_cast<char*>(&value));
    at_ += sizeof value;
    return value;
  }
  std::uint8_t byte() { return number<std::uint8_t>(); }

  std::string_view take(std::uint64_t size) {
    if (failed_ || size > bytes_.size() - at_) {
      failed_ = true;
      return {};
    }
    std::string_view part = bytes_.substr(at_, size);
    at_ += size;
    return part;
  }

  // LEB128: seven bits a byte, the lowest first.
  std::uint64_t uleb() {
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      std::uint8_t one = byte();
      if (shift < 64) value |= std::uint64_t{one & 0x7fu} << shift;
      if (!(one & 0x80) || failed_) return value;
    }
  }
  std::int64_t sleb() {
    std::uint64_t value = 0;
    for (unsigned shift = 0;;) {
      std::uint8_t one = byte();
      if (shift < 64) value |= std::uint64_t{one & 0x7fu} << shift;
      shift += 7;
      if ((one & 0x80) && !failed_) continue;
      if ((one & 0x40) && shift < 64) value |= ~std::uint64_t{0} << shift;
      return static_cast<std::int64_t>(value);
    }
  }

  std::string_view text() {
    std::size_t end = failed_ ? bytes_.npos : bytes_.find('\0', at_);
    if (end == bytes_.npos) {
      failed_ = true;
      return {};
    }
    std::string_view found = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return found;
  }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

// Where a register of the caller is kept.
struct Place {
  enum Kind : std::uint8_t { same, at_cfa, at_expression, undefined, other };
  Kind kind = same;
  std::int64_t offset = 0;      // at_cfa
  std::string_view expression;  // at_expression: gives the address
};

struct Cfa {
  bool by_expression = false;
  std::uint64_t base = rsp;
  std::int64_t offset = 0;
  std::string_view expression;
  bool wrong = false;
};

struct State {
  Cfa cfa;
  Place frame, caller{.kind = Place::at_cfa, .offset = -8};
  bool arm64 = false, signal = false;  // of its CIE: a signal's frame
};

struct Cie {
  std::uint64_t code_step = 1;
  std::int64_t data_step = 1;
  std::uint8_t pointers = absolute;
  bool has_data = false;  // of the augmentation: each FDE has some, too
  std::uint64_t caller = return_address;
  State first;
};

// Unwrapped arithmetic: offsets are whatever the bytes say.
std::int64_t times(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
}

// "register + offset", and what is kept there where `followed`.
struct Address {
  std::uint64_t base;
  std::int64_t offset;
  bool followed;
};

std::optional<Address> address_of(std::string_view expression) {
  Reader reader(expression);
  std::uint8_t op = reader.byte();
  if (op < DW_OP_breg0 || op > DW_OP_breg31) return {};
  Address address{std::uint64_t{op} - DW_OP_breg0, reader.sleb(), false};
  if (!reader.failed() && !reader.done()) address.followed = reader.byte() == DW_OP_deref;
  if (reader.failed() || !reader.done()) return {};
  return address;
}

bool is_at(const Place& place, std::uint64_t base, std::int64_t offset) {
  if (place.kind != Place::at_expression) return false;
  auto address = address_of(place.expression);
  return address && !address->followed && address->base == base && address->offset == offset;
}

// What linkers say of a procedure linkage table: rsp + 8, and 8 more where (rip & 15) >= N, after its push.
std::optional<std::int32_t> plt_of(std::string_view expression) {
  constexpr std::uint8_t before[] = {DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and};
  constexpr std::uint8_t after[] = {DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus};
  auto is = [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; };
  if (expression.size() != std::size(before) + 1 + std::size(after)) return {};
  if (!std::equal(std::begin(before), std::end(before), expression.begin(), [&](auto b, char a) { return is(a, b); }) ||
      !std::equal(std::begin(after), std::end(after), expression.end() - 4, [&](auto b, char a) { return is(a, b); }))
    return {};
  auto limit = static_cast<std::uint8_t>(expression[std::size(before)]);
  if (limit < DW_OP_lit0 || limit > DW_OP_lit15) return {};
  return limit - DW_OP_lit0;
}

// The word of pt_regs that is a register of DWARF's numbering; nothing for rsp and what lies behind.
std::optional<std::uint32_t> word_of(std::uint64_t number) {
  constexpr std::uint8_t words[] = {10, 12, 11, 5, 13, 14, 4, 255, 9, 8, 7, 6, 3, 2, 1, 0};
  if (number >= std::size(words) || words[number] == 255) return {};
  return words[number];
}

constexpr std::uint32_t unsupported_rule = kit_unwind_rule(KIT_UNWIND_UNSUPPORTED, 0, 0);

std::uint32_t rule_with(std::uint32_t kind, std::uint32_t frame, std::int64_t offset) {
  if (offset % 8 || offset / 8 < INT16_MIN || offset / 8 > INT16_MAX) return unsupported_rule;
  return kit_unwind_rule(kind, frame, static_cast<std::int32_t>(offset / 8));
}

std::uint32_t frame_of(const Place& place) {
  switch (place.kind) {
    case Place::same: return KIT_UNWIND_SAME;
    case Place::at_cfa:
      if (place.offset % 8 || place.offset >= 0 || place.offset < -8 * KIT_UNWIND_SAVED_MOST) break;
      return static_cast<std::uint32_t>(-place.offset / 8);
    case Place::at_expression: return is_at(place, rbp, 0) ? KIT_UNWIND_SAVED_AT_FRAME : KIT_UNWIND_FRAME_UNKNOWN;
    default: break;
  }
  return KIT_UNWIND_FRAME_UNKNOWN;
}

std::uint32_t rule_of_expression(const State& state) {
  std::string_view expression = state.cfa.expression;
  std::uint32_t frame = frame_of(state.frame);
  if (auto limit = plt_of(expression)) return kit_unwind_rule(KIT_UNWIND_PLT, frame, *limit);
  auto address = address_of(expression);
  if (!address) return unsupported_rule;
  if (!address->followed) {
    if (address->base == rsp) return rule_with(KIT_UNWIND_STACK, frame, address->offset);
    if (address->base == rbp) return rule_with(KIT_UNWIND_FRAME, frame, address->offset);
    return unsupported_rule;
  }
  if (address->base == rbp) return rule_with(KIT_UNWIND_AT_FRAME, frame, address->offset);
  if (address->base == rsp) return rule_with(KIT_UNWIND_AT_STACK, frame, address->offset);
  return unsupported_rule;
}

bool is_signal_frame(const State& state) {
  if (!state.cfa.by_expression) return false;
  auto cfa = address_of(state.cfa.expression);
  return cfa && cfa->followed && cfa->base == rsp && cfa->offset == KIT_UNWIND_SIGNAL_RSP &&
         is_at(state.caller, rsp, KIT_UNWIND_SIGNAL_RIP) && is_at(state.frame, rsp, KIT_UNWIND_SIGNAL_RBP);
}

// Where the caller's frame pointer is beside the return address, which is `link` words before the CFA.
std::uint32_t beside_of(const Place& frame, std::int64_t link) {
  if (frame.kind == Place::same) return KIT_UNWIND_BESIDE_NONE;
  if (frame.kind != Place::at_cfa || frame.offset % 8 || frame.offset >= 0) return KIT_UNWIND_BESIDE_UNKNOWN;
  for (std::uint32_t word = KIT_UNWIND_BESIDE; word < 8; word++)
    if (-frame.offset / 8 == link + kit_unwind_beside_words(word)) return word;
  return KIT_UNWIND_BESIDE_UNKNOWN;
}

std::uint32_t rule_of_arm64(const State& state) {
  constexpr std::int64_t most = 1 << 12;
  const Cfa& cfa = state.cfa;
  if (cfa.wrong) return unsupported_rule;
  if (state.signal) return kit_unwind_link_rule(KIT_UNWIND_SIGNAL, 0, 0, 0);
  if (state.caller.kind == Place::undefined) return kit_unwind_link_rule(KIT_UNWIND_OUTERMOST, 0, 0, 0);
  if (cfa.by_expression || (cfa.base != x29 && cfa.base != x_stack)) return unsupported_rule;
  if (cfa.offset % 16 || cfa.offset / 16 < -most || cfa.offset / 16 >= most) return unsupported_rule;
  std::int64_t link = 0;
  if (state.caller.kind == Place::at_cfa) {
    link = -state.caller.offset / 8;
    if (state.caller.offset % 8 || link < 1 || link > KIT_UNWIND_LINK_MOST) return unsupported_rule;
  } else if (state.caller.kind != Place::same) {
    return unsupported_rule;
  }
  return kit_unwind_link_rule(cfa.base == x29 ? KIT_UNWIND_FRAME : KIT_UNWIND_STACK, static_cast<std::uint32_t>(link),
                              beside_of(state.frame, link), static_cast<std::int32_t>(cfa.offset / 16));
}

std::uint32_t rule_of(const State& state) {
  if (state.arm64) return rule_of_arm64(state);
  if (state.cfa.wrong) return unsupported_rule;
  if (state.caller.kind == Place::undefined) return kit_unwind_rule(KIT_UNWIND_OUTERMOST, 0, 0);
  if (is_signal_frame(state)) return kit_unwind_rule(KIT_UNWIND_SIGNAL, 0, 0);
  if (state.caller.kind != Place::at_cfa || state.caller.offset != -8) return unsupported_rule;
  if (state.cfa.by_expression) return rule_of_expression(state);
  std::uint32_t frame = frame_of(state.frame);
  if (state.cfa.base == rsp) return rule_with(KIT_UNWIND_STACK, frame, state.cfa.offset);
  if (state.cfa.base == rbp) return rule_with(KIT_UNWIND_FRAME, frame, state.cfa.offset);
  auto word = word_of(state.cfa.base);
  return word ? rule_with(KIT_UNWIND_REGISTER + *word, frame, state.cfa.offset) : unsupported_rule;
}

// The rows of one function, in order, before they are joined with others'.
struct Function {
  std::uint64_t start, end;
  std::size_t first, count;  // of the rows below
};
struct Row {
  std::uint64_t start;
  std::uint32_t rule;
};

// Runs the small program of one CIE or FDE.
class Program {
 public:
  Program(const Cie& cie, State state, std::uint64_t pc) : cie_(cie), state_(state), first_(state), pc_(pc) {}

  // Calls row(start, rule) for each piece of the range; false if the bytes could not be read to their end.
  template <typename Each>
  bool run(std::string_view bytes, Each row) {
    Reader reader(bytes);
    while (!reader.done()) {
      std::uint64_t before = pc_;
      if (!step(reader) || reader.failed()) return false;
      if (pc_ != before) row(before, rule_of(state_));  // what advances changes nothing else
    }
    row(pc_, rule_of(state_));
    return !reader.failed();
  }
  const State& state() const { return state_; }

 private:
  void advance(std::uint64_t steps) { pc_ += steps * cie_.code_step; }

  Place* place(std::uint64_t number) {
    if (number == frame_) return &state_.frame;
    if (number == cie_.caller) return &state_.caller;
    return nullptr;
  }
  void set(std::uint64_t number, const Place& to) {
    if (Place* at = place(number)) *at = to;
  }
  void restore(std::uint64_t number) {
    if (number == frame_) state_.frame = first_.frame;
    if (number == cie_.caller) state_.caller = first_.caller;
  }
  void set_cfa(std::uint64_t base, std::int64_t offset) { state_.cfa = {.base = base, .offset = offset}; }
  // Only what is told as register and offset has one of the two changed.
  void change_cfa(std::optional<std::uint64_t> base, std::optional<std::int64_t> offset) {
    if (state_.cfa.by_expression) state_.cfa.wrong = true;
    if (base) state_.cfa.base = *base;
    if (offset) state_.cfa.offset = *offset;
  }

  bool step(Reader& reader) {
    std::uint8_t op = reader.byte(), low = op & 0x3f;
    switch (op & 0xc0) {
      case DW_CFA_advance_loc: advance(low); return true;
      case DW_CFA_offset: set(low, saved(times(static_cast<std::int64_t>(reader.uleb()), cie_.data_step))); return true;
      case DW_CFA_restore: restore(low); return true;
      default: return step_of_cfa(op, reader);
    }
  }

  static Place saved(std::int64_t offset) { return {.kind = Place::at_cfa, .offset = offset}; }

  bool step_of_cfa(std::uint8_t op, Reader& reader) {
    std::uint64_t base;
    switch (op) {
      case DW_CFA_nop: return true;
      case DW_CFA_advance_loc1: advance(reader.byte()); return true;
      case DW_CFA_advance_loc2: advance(reader.number<std::uint16_t>()); return true;
      case DW_CFA_advance_loc4: advance(reader.number<std::uint32_t>()); return true;
      case DW_CFA_def_cfa:
        base = reader.uleb();
        set_cfa(base, static_cast<std::int64_t>(reader.uleb()));
        return true;
      case DW_CFA_def_cfa_sf:
        base = reader.uleb();
        set_cfa(base, times(reader.sleb(), cie_.data_step));
        return true;
      case DW_CFA_def_cfa_register: change_cfa(reader.uleb(), {}); return true;
      case DW_CFA_def_cfa_offset: change_cfa({}, static_cast<std::int64_t>(reader.uleb())); return true;
      case DW_CFA_def_cfa_offset_sf: change_cfa({}, times(reader.sleb(), cie_.data_step)); return true;
      case DW_CFA_def_cfa_expression:
        state_.cfa = {.by_expression = true, .expression = reader.take(reader.uleb())};
        return true;
      default: return step_of_register(op, reader);
    }
  }

  bool step_of_register(std::uint8_t op, Reader& reader) {
    if (op == DW_CFA_remember_state) {
      constexpr std::size_t deepest = 64;
      if (kept_.size() == deepest) return false;
      kept_.push_back(state_);
      return true;
    }
    if (op == DW_CFA_restore_state) {
      if (kept_.empty()) return false;
      state_ = kept_.back();
      kept_.pop_back();
      return true;
    }
    // DW_CFA_AARCH64_negate_ra_state: return addresses are signed from here on, or no more. The walker asks each.
    if (op == DW_CFA_GNU_window_save && state_.arm64) return true;
    std::uint64_t number = reader.uleb();  // of most: a register; of DW_CFA_GNU_args_size: bytes, which are not asked
    switch (op) {
      case DW_CFA_GNU_args_size: return true;
      case DW_CFA_offset_extended:
        set(number, saved(times(static_cast<std::int64_t>(reader.uleb()), cie_.data_step)));
        return true;
      case DW_CFA_offset_extended_sf: set(number, saved(times(reader.sleb(), cie_.data_step))); return true;
      case DW_CFA_GNU_negative_offset_extended:
        set(number, saved(times(times(static_cast<std::int64_t>(reader.uleb()), cie_.data_step), -1)));
        return true;
      case DW_CFA_restore_extended: restore(number); return true;
      case DW_CFA_undefined: set(number, {.kind = Place::undefined}); return true;
      case DW_CFA_same_value:
        set(number, {.kind = number == frame_ || state_.arm64 ? Place::same : Place::other});
        return true;
      case DW_CFA_register:
      case DW_CFA_val_offset:
        reader.uleb();
        set(number, {.kind = Place::other});
        return true;
      case DW_CFA_val_offset_sf:
        reader.sleb();
        set(number, {.kind = Place::other});
        return true;
      case DW_CFA_expression:
        set(number, {.kind = Place::at_expression, .expression = reader.take(reader.uleb())});
        return true;
      case DW_CFA_val_expression:
        reader.take(reader.uleb());
        set(number, {.kind = Place::other});
        return true;
      default: return false;  // what is not known may be of any length
    }
  }

  const Cie& cie_;
  State state_;
  const std::uint64_t frame_ = state_.arm64 ? x29 : rbp;
  const State first_;
  std::uint64_t pc_;
  std::vector<State> kept_;
};

// A pointer in this encoding; nothing for those that lead through memory or from places that are not known here.
std::optional<std::uint64_t> read_pointer(Reader& reader, std::uint8_t encoding, std::uint64_t here) {
  std::uint64_t value = 0;
  switch (encoding & 0x0f) {
    case absolute:
    case DW_EH_PE_udata8:
    case DW_EH_PE_sdata8: value = reader.number<std::uint64_t>(); break;
    case DW_EH_PE_udata4: value = reader.number<std::uint32_t>(); break;
    case DW_EH_PE_sdata4: value = static_cast<std::uint64_t>(std::int64_t{reader.number<std::int32_t>()}); break;
    case DW_EH_PE_udata2: value = reader.number<std::uint16_t>(); break;
    case DW_EH_PE_sdata2: value = static_cast<std::uint64_t>(std::int64_t{reader.number<std::int16_t>()}); break;
    case DW_EH_PE_uleb128: value = reader.uleb(); break;
    case DW_EH_PE_sleb128: value = static_cast<std::uint64_t>(reader.sleb()); break;
    default: reader.fail();
  }
  if (reader.failed()) return {};
  if ((encoding & 0xf0) == relative_to_itself) return value + here;
  return encoding & 0xf0 ? std::nullopt : std::optional(value);
}

// One section, from its first entry to its last.
class Section {
 public:
  Section(const CallFrames& from, std::size_t most, std::vector<Row>& rows, std::vector<Function>& functions)
      : from_(from), bytes_(from.bytes), most_(most), rows_(rows), functions_(functions) {}

  void read(UnwindTable& table) {
    table.whole &= !from_.left_out;
    for (std::size_t at = 0; at < bytes_.size() && !cut_;) {
      Entry entry;
      if (!open(at, entry)) return;
      at = entry.end;
      if (entry.is_cie) continue;
      cut_ = cut_ || rows_.size() >= most_;
      if (!cut_) (read_function(entry) ? table.functions : table.unread)++;
    }
    table.whole &= !cut_;
  }

 private:
  struct Entry {
    std::size_t body, end;  // behind the id; of the whole
    std::size_t cie;        // of an FDE: where its CIE begins
    bool is_cie, wide;
  };

  // False: here ends what can be read.
  bool open(std::size_t at, Entry& entry) const {
    if (at > bytes_.size()) return false;
    Reader reader(bytes_.substr(at));
    std::uint64_t size = reader.number<std::uint32_t>();
    entry.wide = size == 0xffffffff;
    if (entry.wide) size = reader.number<std::uint64_t>();
    std::size_t id_at = at + reader.at();
    if (reader.failed() || size == 0 || size > bytes_.size() - id_at) return false;
    entry.end = id_at + size;
    bool wide_id = entry.wide && from_.debug;  // of .eh_frame it has 4 bytes always
    std::uint64_t id = wide_id ? reader.number<std::uint64_t>() : reader.number<std::uint32_t>();
    if (reader.failed() || at + reader.at() > entry.end) return false;
    entry.body = at + reader.at();
    entry.is_cie = from_.debug ? id == (wide_id ? UINT64_MAX : UINT32_MAX) : id == 0;
    // Of .eh_frame it is the way back from the id itself.
    entry.cie = from_.debug ? id : id <= id_at ? id_at - id : SIZE_MAX;
    return true;
  }

  std::string_view body_of(const Entry& entry) const { return bytes_.substr(entry.body, entry.end - entry.body); }

  const std::optional<Cie>& cie_at(std::size_t at) {
    auto [found, fresh] = cies_.try_emplace(at);
    if (fresh) found->second = read_cie(at);
    return found->second;
  }

  std::optional<Cie> read_cie(std::size_t at) const {
    Entry entry;
    if (!open(at, entry) || !entry.is_cie) return {};
    Cie cie;
    Reader reader(body_of(entry));
    std::uint8_t version = reader.byte();
    if (version != 1 && version != 3 && version != 4) return {};
    std::string_view augmentation = reader.text();
    if (version == 4 && (reader.byte() != 8 || reader.byte() != 0)) return {};  // bytes of an address, of a segment
    cie.code_step = reader.uleb();
    cie.data_step = reader.sleb();
    cie.caller = version == 1 ? reader.byte() : reader.uleb();
    if (!read_augmentation(augmentation, reader, cie, entry)) return {};
    // What it says before any function begins.
    State none;
    none.cfa.wrong = true;
    none.arm64 = from_.arm64;
    none.signal = from_.arm64 && augmentation.find('S') != augmentation.npos;
    if (from_.arm64) none.caller.kind = Place::same;
    Program program(cie, none, 0);
    if (reader.failed() || !program.run(rest(reader, entry), [](std::uint64_t, std::uint32_t) {})) return {};
    cie.first = program.state();
    return cie;
  }

  std::string_view rest(const Reader& reader, const Entry& entry) const { return body_of(entry).substr(reader.at()); }

  // "zPLR": what follows in the CIE, a letter each. Unknown letters are passed over, as the size of all is told.
  bool read_augmentation(std::string_view letters, Reader& reader, Cie& cie, const Entry& entry) const {
    if (letters.empty()) return true;
    if (letters[0] != 'z') return false;
    cie.has_data = true;
    std::uint64_t size = reader.uleb();
    std::uint64_t begin = from_.address + entry.body + reader.at();
    Reader data(reader.take(size));
    for (char letter : letters.substr(1)) {
      if (letter == 'R') {
        cie.pointers = data.byte();
      } else if (letter == 'L') {
        data.byte();
      } else if (letter == 'P') {
        std::uint8_t encoding = data.byte();
        if (encoding != omitted && encoding != DW_EH_PE_aligned) read_pointer(data, encoding & 0x7f, begin + data.at());
      } else if (letter != 'S' && letter != 'B') {
        break;
      }
    }
    return !reader.failed() && !data.failed();
  }

  bool read_function(const Entry& entry) {
    const std::optional<Cie>& cie = cie_at(entry.cie);
    if (!cie) return false;
    Reader reader(body_of(entry));
    auto start = read_pointer(reader, cie->pointers, from_.address + entry.body);
    auto size = read_pointer(reader, cie->pointers & 0x0f, 0);
    if (!start || !size || (cie->pointers & DW_EH_PE_indirect)) return false;
    if (cie->has_data) reader.take(reader.uleb());
    // What a linker has left out has address 0; what is as large as no code is, is none.
    if (reader.failed() || *size == 0 || *start == 0 || *size > UINT32_MAX || *start > UINT64_MAX - *size) return false;
    Function function{*start, *start + *size, rows_.size(), 0};
    Program program(*cie, cie->first, *start);
    // Called by another's convention, as one of glibc's for arm64: its return address is in x15.
    bool ours = cie->caller == (from_.arm64 ? x30 : return_address);
    bool good = ours && program.run(rest(reader, entry), [&](std::uint64_t at, std::uint32_t rule) {
      if (at < function.start || at >= function.end) return;
      bool more = rows_.size() > function.first;
      if (more && rows_.back().start >= at) return;
      if (more && rows_.size() >= most_) {
        if (!std::exchange(cut_, true)) rows_.push_back({at, unsupported_rule});  // from here on nothing is known
        return;
      }
      if (!more || rows_.back().rule != rule) rows_.push_back({at, rule});
    });
    if (!good) {
      rows_.resize(function.first);
      rows_.push_back({function.start, unsupported_rule});
    }
    function.count = rows_.size() - function.first;
    functions_.push_back(function);
    return good || !ours;
  }

  const CallFrames& from_;
  std::string_view bytes_;
  std::size_t most_;
  std::vector<Row>& rows_;
  std::vector<Function>& functions_;
  std::map<std::size_t, std::optional<Cie>> cies_;
  bool cut_ = false;  // there were more rows
};

// Puts functions beside each other; of two that speak of one address the one that begins first is left as it is.
void join(const std::vector<Row>& rows, std::vector<Function>& functions, UnwindTable& table) {
  std::stable_sort(functions.begin(), functions.end(),
                   [](const Function& a, const Function& b) { return a.start < b.start; });
  table.base = functions.front().start;
  std::uint64_t end = table.base, last = table.base + UINT32_MAX - 1;
  auto put = [&](std::uint64_t start, std::uint32_t rule) {
    auto at = static_cast<std::uint32_t>(start - table.base);
    if (!table.rows.empty() && table.rows.back().start == at) table.rows.pop_back();
    if (table.rows.empty() || table.rows.back().rule != rule) table.rows.push_back({at, rule});
  };
  for (const Function& function : functions) {
    if (function.end > last) {
      table.whole = false;
      break;
    }
    if (function.end <= end) continue;
    for (std::size_t i = function.first; i < function.first + function.count; i++) {
      bool covered = i + 1 < function.first + function.count && rows[i + 1].start <= end;
      if (!covered) put(std::max(rows[i].start, end), rows[i].rule);
    }
    end = function.end;
    put(end, kit_unwind_rule(KIT_UNWIND_GAP, 0, 0));
  }
}

// What leads to it stands in a segment of its own: a version, three encodings, and the pointer. How long it is nobody
// says, but an entry of size 0 ends it.
void add_without_sections(const Elf& file, const ElfSegment& header, std::vector<CallFrames>& all) {
  constexpr std::size_t most = std::size_t{1} << 26, least = 4;
  std::string start = file.bytes_at(header.address, 16);
  if (start.size() < least || start[0] != 1) return;
  Reader reader(start);
  reader.take(least);
  auto at = read_pointer(reader, static_cast<std::uint8_t>(start[1]), header.address + least);
  if (at) all.push_back({file.bytes_at(*at, most), *at, false, false, file.machine() == EM_AARCH64});
}

}  // namespace

std::size_t UnwindTable::unsupported() const {
  return static_cast<std::size_t>(std::count_if(rows.begin(), rows.end(), [](const kit_unwind_row& row) {
    return kit_unwind_kind(row.rule) == KIT_UNWIND_UNSUPPORTED;
  }));
}

std::uint32_t UnwindTable::rule_of(std::uint64_t address) const {
  if (address < base || address - base > UINT32_MAX) return KIT_UNWIND_GAP;
  auto after = std::upper_bound(rows.begin(), rows.end(), address - base,
                                [](std::uint64_t wanted, const kit_unwind_row& row) { return wanted < row.start; });
  return after == rows.begin() ? std::uint32_t{KIT_UNWIND_GAP} : (after - 1)->rule;
}

UnwindTable make_unwind_table(const std::vector<CallFrames>& sections, std::size_t most_rows) {
  UnwindTable table;
  std::vector<Row> rows;
  std::vector<Function> functions;
  for (const CallFrames& section : sections) Section(section, most_rows, rows, functions).read(table);
  if (!functions.empty()) join(rows, functions, table);
  return table;
}

std::vector<CallFrames> call_frames(const Elf& file) {
  constexpr std::uint64_t most = std::uint64_t{1} << 28;  // bytes: what is larger is no code that anybody has written
  std::vector<CallFrames> all;
  bool arm64 = file.machine() == EM_AARCH64;
  if (file.bits() != 64 || (file.machine() != EM_X86_64 && !arm64)) return all;
  bool found = false;
  for (const ElfSection& section : file.sections()) {
    // One that is compressed begins as no list of frames does, and so is empty.
    bool debug = section.name == ".debug_frame";
    if (section.name != ".eh_frame" && !debug) continue;
    if (section.size > most) {
      all.push_back({.left_out = true});
      continue;
    }
    found |= !debug;
    if (auto whole = file.section(section.name); whole && !whole->bytes.empty())
      all.push_back({std::string(whole->bytes), debug ? 0 : section.address, debug, false, arm64});
  }
  auto header = file.segment(PT_GNU_EH_FRAME);
  if (!found && header) add_without_sections(file, *header, all);
  return all;
}

}  // namespace kit
