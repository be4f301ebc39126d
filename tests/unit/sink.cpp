// SPDX-License-Identifier: BSD-2-Clause
// Cells to text, JSON and CSV.
#include "kit/sink.hpp"

#include <nlohmann/json.hpp>

#include "case.hpp"

namespace {

using kit::Cell;
using kit::Output;
using kit::Shape;
using kit::TimeStyle;
using namespace std::literals;

constexpr std::uint64_t second = 1'000'000'000;

struct Row {
  kit_head head;
  std::vector<Cell> cells;
};

// A sink, what it wrote, and a table of one column for each cell of a row.
struct Trial {
  kit::OutputBuffer out;
  std::unique_ptr<kit::Sink> sink;
  kit::Table<Row> table;
  std::vector<Cell> cells;

  explicit Trial(Output output, TimeStyle time = TimeStyle::clock, Shape shape = Shape::stream, bool intervals = false)
      : sink(kit::make_sink(output, time, shape, intervals, out)) {
    sink->start({.tool = "trial",
                 .version = "1",
                 .kernel = "6",
                 .arch = "x86_64",
                 .clock = {1000 * second, 1769860800 * second, 0}});
    out.text().clear();
  }
  void columns(std::size_t count, int width = 6) {
    for (std::size_t i = 0; i < count; i++) {
      std::string name(1, static_cast<char>('a' + i));
      table.column(std::string(1, static_cast<char>('A' + i)), name, width, "",
                   [i](const Row& row) { return row.cells[i]; });
    }
  }
  void row(const std::vector<Cell>& values, const kit::RowMark& mark = {}) {
    Row one{{}, values};
    table.cells(&one, cells);
    sink->row(table, cells, mark);
  }
  std::string take() { return std::exchange(out.text(), {}); }
};

// One cell as each output writes it.
std::string one(Output output, const Cell& cell) {
  Trial trial(output);
  trial.columns(1);
  trial.row({cell});
  return trial.take();
}
std::string text(const Cell& cell) {
  std::string line = one(Output::text, cell);
  CHECK(line.ends_with('\n'));
  return line.substr(0, line.size() - 1);
}
nlohmann::json json(const Cell& cell) { return nlohmann::json::parse(one(Output::json, cell))["a"]; }
std::string csv(const Cell& cell) {
  std::string line = one(Output::csv, cell);
  CHECK(line.ends_with("\r\n"));
  return line.substr(0, line.size() - 2);
}

}  // namespace

TEST_CASE("each kind of cell in each output") {
  struct {
    Cell cell;
    const char* text;
    nlohmann::json json;
    const char* csv;
  } const cells[] = {
      {Cell::unknown(), "?", nullptr, ""},
      {Cell::absent(), "n/a", nullptr, ""},
      {Cell::none(), "-", nullptr, ""},
      {Cell::integer(-5), "-5", -5, "-5"},
      {Cell::integer(INT64_MIN), "-9223372036854775808", INT64_MIN, "-9223372036854775808"},
      {Cell::count(UINT64_MAX), "18446744073709551615", UINT64_MAX, "18446744073709551615"},
      {Cell::boolean(true), "yes", true, "yes"},
      {Cell::boolean(false), "no", false, "no"},
      {Cell::ratio(0.25), "0.250", 0.25, "0.250"},
      {Cell::borrowed("plain"), "plain", "plain", "plain"},
      {Cell::owned("a,\"b\""), "a,\"b\"", "a,\"b\"", "\"a,\"\"b\"\"\""},
      {Cell::borrowed("a\nb"), "a\\nb", "a\nb", "a\\nb"},
      {Cell::borrowed(""), "", "", ""},
      {Cell::words("ls\0-l\0a b\0"sv), "ls -l 'a b'", {"ls", "-l", "a b"}, "ls -l 'a b'"},
      {Cell::words(""), "", nlohmann::json::array(), ""},
      {Cell::words("\0"sv), "''", {""}, "''"},
      {Cell::error(2), "ENOENT", "ENOENT", "ENOENT"},
      {Cell::error(0), "-", nullptr, ""},
      {Cell::duration(1234567, kit::Unit::us), "1234.567", 1234567, "1234567"},
      {Cell::duration(1234567, kit::Unit::ms), "1.235", 1234567, "1234567"},
      {Cell::duration(1234500, kit::Unit::ms), "1.234", 1234500, "1234500"},
      {Cell::duration(1235500, kit::Unit::ms), "1.236", 1235500, "1235500"},
      {Cell::duration(7, kit::Unit::ns), "7", 7, "7"},
      {Cell::address(UINT64_MAX), "0xffffffffffffffff", "0xffffffffffffffff", "0xffffffffffffffff"},
      {Cell::time(1001 * second), "12:00:01.000", "2026-01-31T12:00:01.000000000Z", "12:00:01.000"},
      {kit::to_cell(std::uint32_t{7}), "7", 7, "7"},
      {kit::to_cell(std::uint32_t{KIT_NO_PID}), "?", nullptr, ""},
  };
  for (const auto& of : cells) {
    INFO(of.text);
    CHECK(text(of.cell) == of.text);
    CHECK(json(of.cell) == of.json);
    CHECK(csv(of.cell) == of.csv);
  }
}

TEST_CASE("a name that fills its array has no end mark") {
  const char full[4] = {'a', 'b', 'c', 'd'};
  CHECK(text(kit::to_cell(full)) == "abcd");
  const char part[4] = {'a', 0, 'x', 'x'};
  CHECK(text(kit::to_cell(part)) == "a");
}

TEST_CASE("text that is not UTF-8 keeps its bytes in JSON") {
  auto row = nlohmann::json::parse(one(Output::json, Cell::borrowed("a\xff")));
  CHECK(row["a"] == "a\xef\xbf\xbd");
  CHECK(row["a_base64"] == "Yf8=");
  CHECK_FALSE(nlohmann::json::parse(one(Output::json, Cell::borrowed("\xc3\xbc"))).contains("a_base64"));
  row = nlohmann::json::parse(one(Output::json, Cell::words("x\0\xff\0"sv)));
  CHECK(row["a"] == std::vector<std::string>{"x", "\xef\xbf\xbd"});
  CHECK(row["a_base64"] == std::vector<std::string>{"eA==", "/w=="});
  CHECK(text(Cell::borrowed("a\xff")) == "a\\xff");
}

TEST_CASE("columns of text are aligned, and a wide value takes from what follows") {
  Trial trial(Output::text);
  trial.table.column("PID", "pid", -5, "", [](const Row& row) { return row.cells[0]; })
      .column("COMM", "comm", 6, "", [](const Row& row) { return row.cells[1]; })
      .column("N", "n", -4, "", [](const Row& row) { return row.cells[2]; })
      .column("PATH", "path", 0, "", [](const Row& row) { return row.cells[3]; });
  trial.sink->table(trial.table);
  CHECK(trial.take() == "  PID COMM      N PATH\n");
  trial.row({Cell::count(1), Cell::borrowed("sh"), Cell::count(7), Cell::borrowed("/x")});
  CHECK(trial.take() == "    1 sh        7 /x\n");
  trial.row({Cell::count(1), Cell::borrowed("long-name"), Cell::count(7), Cell::borrowed("/x")});
  CHECK(trial.take() == "    1 long-name 7 /x\n");
  trial.row({Cell::count(1), Cell::borrowed("\xe6\x97\xa5"), Cell::count(7), Cell::borrowed("/x")});
  CHECK(trial.take() == "    1 \xe6\x97\xa5        7 /x\n");
  trial.row({Cell::count(1), Cell::borrowed(""), Cell::count(7), Cell::borrowed("/x")});
  CHECK(trial.take() == "    1           7 /x\n");
  trial.row({Cell::count(1), Cell::borrowed("sh"), Cell::count(7), Cell::borrowed("/x")},
            {.interval = {}, .partial = false, .late = true});
  CHECK(trial.take() == "    1 sh        7 /x (late)\n");
}

TEST_CASE("a column that is not asked for is left out of text, never of JSON and CSV") {
  bool shown = false;
  for (Output output : {Output::text, Output::json, Output::csv}) {
    Trial trial(output);
    trial.table.column("A", "a", 1, "", [](const Row& row) { return row.cells[0]; })
        .column("B", "b", 1, "", [](const Row& row) { return row.cells[1]; })
        .only_with(shown);
    trial.sink->table(trial.table);
    trial.row({Cell::count(1), Cell::count(2)});
    const char* all[] = {"A\n1\n", "{\"type\":\"row\",\"a\":1,\"b\":2}\n", "a,b\r\n1,2\r\n"};
    CHECK(trial.take() == all[static_cast<int>(output)]);
  }
}

TEST_CASE("times: in the style asked for, in JSON always UTC, without one under none") {
  auto rows = [](Output output, TimeStyle style) {
    Trial trial(output, style);
    trial.table.time().column("A", "a", 1, "", [](const Row& row) { return row.cells[0]; });
    trial.sink->table(trial.table);
    for (std::uint64_t at : {1000, 1003}) {
      Row row{{.time = at * second}, {Cell::count(7)}};
      trial.table.cells(&row, trial.cells);
      trial.sink->row(trial.table, trial.cells, {});
    }
    return trial.take();
  };
  CHECK(rows(Output::text, TimeStyle::none) == "A\n7\n7\n");
  CHECK(rows(Output::csv, TimeStyle::none) == "a\r\n7\r\n7\r\n");
  CHECK(rows(Output::csv, TimeStyle::delta) == "time,a\r\n0.000000000,7\r\n3.000000000,7\r\n");
  CHECK(rows(Output::csv, TimeStyle::iso) ==
        "time,a\r\n2026-01-31T12:00:00.000000000+00:00,7\r\n2026-01-31T12:00:03.000000000+00:00,7\r\n");
  std::string utc =
      "{\"type\":\"row\",\"time\":\"2026-01-31T12:00:00.000000000Z\",\"a\":7}\n{\"type\":\"row\",\"time\":\"2026-01-"
      "31T12:00:03.000000000Z\",\"a\":7}\n";
  CHECK(rows(Output::json, TimeStyle::none) == utc);
  CHECK(rows(Output::json, TimeStyle::delta) == utc);
}

TEST_CASE("reports: a line of time in text, an interval in JSON and CSV") {
  auto made = [](Output output, TimeStyle style, bool intervals) {
    Trial trial(output, style, Shape::interval, intervals);
    trial.columns(1, 1);
    for (std::uint64_t number : {1, 2}) {
      bool partial = number == 2;
      trial.sink->report(number, (1000 + number) * second, partial);
      trial.sink->table(trial.table);
      trial.row({Cell::count(7)}, {.interval = number, .partial = partial, .late = false});
    }
    return trial.take();
  };
  CHECK(made(Output::text, TimeStyle::clock, true) == "12:00:01.000\nA\n7\n\n12:00:02.000 (cut short)\nA\n7\n");
  CHECK(made(Output::text, TimeStyle::none, true) == "A\n7\n\n(cut short)\nA\n7\n");
  CHECK(made(Output::json, TimeStyle::clock, true) ==
        "{\"type\":\"row\",\"interval\":1,\"a\":7}\n{\"type\":\"row\",\"interval\":2,\"partial\":true,\"a\":7}\n");
  CHECK(made(Output::csv, TimeStyle::clock, true) == "interval,a\r\n1,7\r\n2,7\r\n");
}

TEST_CASE("the first and the last line of JSON") {
  kit::OutputBuffer out;
  auto sink = kit::make_sink(Output::json, TimeStyle::clock, Shape::stream, false, out);
  sink->start({.tool = "trial",
               .version = "1",
               .kernel = "6.1 \"x\"",
               .arch = "arm64",
               .clock = {5, second, 3600},
               .filters = "{\"pid\":[1]}",
               .plan = "{}"});
  auto start = nlohmann::json::parse(std::exchange(out.text(), {}));
  CHECK(start["type"] == "start");
  CHECK(start["schema"] == 1);
  CHECK(start["tool"] == "trial");
  CHECK(start["kernel"] == "6.1 \"x\"");
  CHECK(start["arch"] == "arm64");
  CHECK(start["time"] == "1970-01-01T00:00:01.000000000Z");
  CHECK(start["clock"]["boot_ns"] == 5);
  CHECK(start["clock"]["realtime_ns"] == second);
  CHECK(start["filters"]["pid"][0] == 1);

  sink->end(
      {.rows = 3, .late = 1, .lost = {{"ring_full", 2}, {"skipped", std::nullopt}}, .command = kit::CommandEnd{0, 11}});
  auto end = nlohmann::json::parse(std::exchange(out.text(), {}));
  CHECK(end["type"] == "end");
  CHECK(end["rows"] == 3);
  CHECK(end["lost"]["ring_full"] == 2);
  CHECK(end["lost"]["skipped"].is_null());
  CHECK(end["command"]["signal"] == "SIGSEGV");
  sink->end({.rows = 0, .late = 0, .lost = {}, .command = kit::CommandEnd{3, 0}});
  CHECK(nlohmann::json::parse(std::exchange(out.text(), {}))["command"]["exit"] == 3);
  sink->end({});
  CHECK_FALSE(nlohmann::json::parse(out.text()).contains("command"));
}

static std::string zero_bars(const std::vector<std::string>& ranges) {
  std::string out;
  for (const std::string& range : ranges) out += range + std::string(33 - range.size(), ' ') + "0\n";
  return out;
}

TEST_CASE("histograms") {
  kit::Slots slots;
  for (std::uint64_t value : {1, 5, 5, 1000}) slots.add(kit_slot(value), 1);
  kit::Histogram histogram{.name = "latency",
                           .unit = "ns",
                           .key = {{"disk", Cell::borrowed("sd,a")}},
                           .slots = slots,
                           .sum = 1011,
                           .max = std::nullopt};

  Trial json(Output::json);
  json.sink->histogram(histogram, {.interval = 2, .partial = false, .late = false});
  auto made = nlohmann::json::parse(json.take());
  CHECK(made["type"] == "histogram");
  CHECK(made["interval"] == 2);
  CHECK(made["name"] == "latency");
  CHECK(made["unit"] == "ns");
  CHECK(made["key"]["disk"] == "sd,a");
  CHECK(made["count"] == 4);
  CHECK(made["sum"] == 1011);
  CHECK(made["max"].is_null());
  CHECK(made["p50"] == 5);
  REQUIRE(made["buckets"].size() == 3);
  CHECK(made["buckets"][1] == nlohmann::json{{"min", 5}, {"max", 5}, {"count", 2}});

  Trial csv(Output::csv, TimeStyle::clock, Shape::interval);
  csv.sink->histogram(histogram, {.interval = 1, .partial = false, .late = false});
  CHECK(csv.take() ==
        "interval,name,unit,disk,min,max,count\r\n1,latency,ns,\"sd,a\",1,1,1\r\n1,latency,ns,\"sd,a\",5,5,2\r\n1,"
        "latency,ns,\"sd,a\",960,1023,1\r\n");

  Trial text(Output::text);
  text.sink->histogram(histogram, {});
  CHECK(text.take() ==
        "disk = sd,a\n"
        "latency                      COUNT\n"
        "[1ns, 2ns)                       1 @@@@@@@@@@@@@@@@@@@@\n"
        "[2ns, 4ns)                       0\n"
        "[4ns, 8ns)                       2 @@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\n" +
            zero_bars(
                {"[8ns, 16ns)", "[16ns, 32ns)", "[32ns, 64ns)", "[64ns, 128ns)", "[128ns, 256ns)", "[256ns, 512ns)"}) +
            "[512ns, 1.02us)                  1 @@@@@@@@@@@@@@@@@@@@\n"
            "count 4  p50 5ns  p90 1.02us  p99 1.02us  p99.9 1.02us\n");
}

TEST_CASE("percentiles are at most the largest value, and none is said of nothing") {
  kit::Slots slots, empty;
  slots.add(kit_slot(1'000'000), 10);
  Trial json(Output::json), text(Output::text);
  kit::Histogram one{.name = "size", .unit = "bytes", .key = {}, .slots = slots, .sum = {}, .max = 1'000'000};
  json.sink->histogram(one, {});
  CHECK(nlohmann::json::parse(json.take())["p999"] == 1'000'000);
  kit::Histogram none{.name = "size", .unit = "bytes", .key = {}, .slots = empty, .sum = 0, .max = {}};
  json.sink->histogram(none, {});
  auto made = nlohmann::json::parse(json.take());
  for (const char* key : {"p50", "p90", "p99", "p999", "max"}) CHECK(made[key].is_null());
  CHECK(made["count"] == 0);
  text.sink->histogram(one, {});
  text.sink->histogram(none, {});
  CHECK(text.take() ==
        "size                         COUNT\n"
        "[512K, 1M)                      10 @@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\n"
        "count 10  p50 977K  p90 977K  p99 977K  p99.9 977K  max 977K\n"
        "\n"
        "size                         COUNT\n"
        "count 0\n");
}

TEST_CASE("an empty histogram, and one of the largest values") {
  kit::Slots empty, large;
  large.add(KIT_SLOTS - 1, 1);
  large.add(0, UINT64_MAX / 64);
  for (const kit::Slots* slots : {&empty, &large}) {
    for (Output output : {Output::text, Output::json, Output::csv}) {
      Trial trial(output);
      trial.sink->histogram({.name = "n", .unit = "ns", .key = {}, .slots = *slots, .sum = {}, .max = {}}, {});
      std::string made = trial.take();
      if (output == Output::json) CHECK_NOTHROW(nlohmann::json::parse(made));
      CHECK(made.size() < 10000);
    }
  }
}

TEST_CASE("losses as JSON") {
  CHECK(kit::losses_json({}) == "{}");
  CHECK(kit::losses_json({{"a", 1}, {"b", std::nullopt}}) == "{\"a\":1,\"b\":null}");
}
