// SPDX-License-Identifier: BSD-2-Clause
// Types of data: where functions have their parameters.
#include "data_types.hpp"

#include "case.hpp"
#include "kit/handle.hpp"

TEST_CASE("a structure that is handed over by value moves what is behind it") {
  kit::Btf types(btf__new_empty());
  btf* b = types.get();
  int number = btf__add_int(b, "int", 4, BTF_INT_SIGNED), wide = btf__add_int(b, "long", 8, BTF_INT_SIGNED);
  int small = btf__add_struct(b, "small", 4);
  btf__add_field(b, "one", number, 0, 0);
  int large = btf__add_struct(b, "large", 16);
  btf__add_field(b, "one", wide, 0, 0);
  btf__add_field(b, "two", wide, 64, 0);
  auto type = [](int id) { return static_cast<std::uint32_t>(id); };
  kit::DataFunction function{.types = b, .id = 0, .parameters = {}, .returns = 0};
  for (int id : {number, small, large, number}) function.parameters.push_back({"", type(id)});
  std::vector<std::uint32_t> slots;
  std::vector<bool> moved;
  for (std::size_t i = 0; i <= 4; i++) {
    slots.push_back(kit::parameter_slot(function, i));
    moved.push_back(kit::is_moved(function, i));
  }
  CHECK(slots == std::vector<std::uint32_t>{0, 1, 2, 4, 5});
  CHECK(moved == std::vector<bool>{false, false, false, true, true});
}
