// SPDX-License-Identifier: BSD-2-Clause
// The length of an instruction is that of its prefixes, its opcode (of one of four maps), an operand in memory and a
// number. What a map lacks, or what 64-bit code may not hold, is no instruction.
#include "instructions.hpp"

#include <algorithm>

namespace kit {
namespace {

constexpr unsigned longest = 15;

// What follows an opcode.
constexpr std::uint8_t bad = 1;
constexpr std::uint8_t operand = 2;  // ModRM
constexpr std::uint8_t one = 4;      // a number of one byte
constexpr std::uint8_t wide = 8;     // of four, or two with the prefix 66

bool within(unsigned opcode, unsigned first, unsigned last) { return opcode >= first && opcode <= last; }

std::uint8_t of_first_map(unsigned opcode) {
  if (opcode < 0x40) {
    constexpr std::uint8_t arithmetic[] = {operand, operand, operand, operand, one, wide, bad, bad};
    return arithmetic[opcode % 8];
  }
  if (within(opcode, 0x60, 0x62) || opcode == 0x82 || opcode == 0x9a || within(opcode, 0xd4, 0xd6) || opcode == 0xce ||
      opcode == 0xea)
    return bad;
  if (opcode == 0x68 || opcode == 0xa9 || opcode == 0xe8 || opcode == 0xe9) return wide;
  if (opcode == 0x69 || opcode == 0x81 || opcode == 0xc7) return operand | wide;
  if (opcode == 0x6b || opcode == 0x80 || opcode == 0x83 || opcode == 0xc0 || opcode == 0xc1 || opcode == 0xc6)
    return operand | one;
  if (opcode == 0x6a || within(opcode, 0x70, 0x7f) || opcode == 0xa8 || within(opcode, 0xb0, 0xb7) || opcode == 0xcd ||
      within(opcode, 0xe0, 0xe7) || opcode == 0xeb)
    return one;
  if (within(opcode, 0xb8, 0xbf)) return wide;
  if (opcode == 0x63 || within(opcode, 0x84, 0x8f) || within(opcode, 0xd0, 0xd3) || within(opcode, 0xd8, 0xdf) ||
      opcode == 0xf6 || opcode == 0xf7 || opcode >= 0xfe)
    return operand;
  return 0;
}

// Behind 0F, and of VEX and EVEX.
std::uint8_t of_second_map(unsigned opcode) {
  if (opcode == 0x04 || opcode == 0x0a || opcode == 0x0c || within(opcode, 0x24, 0x27) || opcode == 0x36 ||
      within(opcode, 0x78, 0x79) || within(opcode, 0x39, 0x3f))
    return bad;
  if (within(opcode, 0x05, 0x09) || opcode == 0x0b || opcode == 0x0e || within(opcode, 0x30, 0x37) || opcode == 0x77 ||
      within(opcode, 0xa0, 0xa2) || within(opcode, 0xa8, 0xaa) || within(opcode, 0xc8, 0xcf))
    return 0;
  if (within(opcode, 0x80, 0x8f)) return wide;
  bool number = opcode == 0x0f || within(opcode, 0x70, 0x73) || opcode == 0xa4 || opcode == 0xac || opcode == 0xba ||
                opcode == 0xc2 || within(opcode, 0xc4, 0xc6);
  return number ? operand | one : operand;
}

class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : bytes_(bytes.substr(0, longest)) {}

  std::optional<Instruction> decode() {
    prefixes();
    unsigned opcode = next();
    std::uint8_t follows = vector(opcode) ? vector_follows(opcode) : plain_follows(opcode);
    if (follows & bad) return {};
    if (follows & operand) follows |= memory_operand();
    std::size_t number_at = at_;
    at_ += number_size(follows);
    if (at_ > bytes_.size()) return {};
    made_.size = static_cast<unsigned>(at_);
    if (map_ <= 1 && !vector_) leave(number_at);
    made_.vector = vector_;
    made_.mistaken = vector_ && mistaken();
    if (vector_) made_.idle = fills_vector();
    return made_;
  }

 private:
  unsigned next() {
    unsigned byte = at_ < bytes_.size() ? static_cast<unsigned char>(bytes_[at_]) : 0;
    at_++;  // beyond the end, the whole is refused
    return byte;
  }
  unsigned peek(std::size_t ahead = 0) const {
    return at_ + ahead < bytes_.size() ? static_cast<unsigned char>(bytes_[at_ + ahead]) : 0;
  }

  void prefixes() {
    for (;; at_++, plain_ = false) {
      unsigned byte = peek();
      if (byte == 0x66)
        narrow_ = true;
      else if (byte == 0x67)
        short_addresses_ = true;
      else if (byte == 0x3e)
        made_.in_function = true;
      else if (byte != 0xf0 && byte != 0xf2 && byte != 0xf3 && byte != 0x2e && byte != 0x36 && byte != 0x26 &&
               byte != 0x64 && byte != 0x65)
        break;
    }
    repeated_ = at_ == 1 && static_cast<unsigned char>(bytes_[0]) == 0xf3;
    if ((peek() & 0xf0) == 0x40) long_ = (rex_ = next()) & 8;
  }

  // VEX (C4, C5) and EVEX (62), which in 64-bit code are nothing else.
  bool vector(unsigned opcode) { return vector_ = opcode == 0xc4 || opcode == 0xc5 || opcode == 0x62; }
  std::uint8_t vector_follows(unsigned opcode) {
    map_ = opcode == 0xc5 ? 1 : peek() & (opcode == 0xc4 ? 0x1f : 7);
    at_ += opcode == 0xc5 ? 1 : opcode == 0xc4 ? 2 : 3;
    opcode_ = next();
    if (map_ == 1) return opcode_ == 0x77 ? 0 : static_cast<std::uint8_t>((of_second_map(opcode_) & one) | operand);
    if (map_ == 3) return operand | one;
    return map_ == 2 || map_ == 5 || map_ == 6 ? operand : bad;
  }
  std::uint8_t plain_follows(unsigned opcode) {
    opcode_ = opcode;
    if (opcode != 0x0f) return opcode == 0x8f && (peek() >> 3 & 7) != 0 ? bad : of_first_map(opcode);
    map_ = 1;
    opcode_ = next();
    if (opcode_ != 0x38 && opcode_ != 0x3a) return of_second_map(opcode_);
    map_ = opcode_ == 0x38 ? 2 : 3;
    opcode_ = next();
    return map_ == 2 ? operand : operand | one;
  }

  // Skips it; F6 and F7 have a number where their operation is a test.
  std::uint8_t memory_operand() {
    unsigned form = next(), mode = form >> 6, base = form & 7;
    form_ = form;
    operation_ = form >> 3 & 7;
    if (mode != 3) {
      if (base == 4) base = next() & 7;
      bool far = mode == 2 || (mode == 0 && base == 5);
      at_ += far ? 4 : mode == 1 ? 1 : 0;
    }
    if (map_ != 0 || operation_ > 1) return 0;
    if (opcode_ == 0xf6) return one;
    return opcode_ == 0xf7 ? wide : 0;
  }

  unsigned number_size(std::uint8_t follows) const {
    unsigned size = follows & one ? 1 : 0;
    bool jump = (map_ == 0 && (opcode_ == 0xe8 || opcode_ == 0xe9)) || map_ == 1;
    if (follows & wide) size += narrow_ && !long_ && !jump ? 2 : 4;
    if (map_ != 0 || vector_) return size;
    if (within(opcode_, 0xb8, 0xbf) && long_) return 8;
    if (within(opcode_, 0xa0, 0xa3)) return short_addresses_ ? 4 : 8;
    if (opcode_ == 0xc2 || opcode_ == 0xca) return 2;
    return opcode_ == 0xc8 ? 3 : size;
  }

  bool calls() const {
    if (map_ == 1) return opcode_ == 0x05 || opcode_ == 0x34;  // syscall, sysenter
    return opcode_ == 0xe8 || within(opcode_, 0xcc, 0xce) || opcode_ == 0xf1 ||
           (opcode_ == 0xff && (operation_ == 2 || operation_ == 3));
  }
  // A prefix would make it another, or one that the kernel does not do itself.
  bool emulated() const {
    if (map_ == 1) return plain_ && !rex_ && within(opcode_, 0x80, 0x8f);
    if (made_.pushes) return true;
    return plain_ && !rex_ &&
           (opcode_ == 0x90 || opcode_ == 0xe8 || opcode_ == 0xe9 || opcode_ == 0xeb || within(opcode_, 0x70, 0x7f));
  }
  bool idle() const {
    bool registers = form_ >> 6 == 3;
    if (map_ == 1) return opcode_ == 0x1f || (opcode_ == 0x1e && form_ == 0xfa && repeated_);  // nop, endbr64
    if (opcode_ == 0x90) return !rex_;
    if (opcode_ == 0xa8 || opcode_ == 0xa9 || opcode_ == 0x3c || opcode_ == 0x3d) return true;  // with the accumulator
    bool tests = within(opcode_, 0x84, 0x85) || within(opcode_, 0x38, 0x3b) ||
                 (within(opcode_, 0xf6, 0xf7) && operation_ <= 1) ||
                 ((within(opcode_, 0x80, 0x81) || opcode_ == 0x83) && operation_ == 7);
    return tests && registers;
  }

  // What the kernel does itself, and what it sets right behind a step: popf, calls and returns.
  bool mistaken() const {
    constexpr unsigned char others[] = {0x90, 0x9a, 0x9d, 0xc2, 0xc3, 0xca, 0xcb, 0xe8, 0xe9, 0xeb, 0xff};
    return within(opcode_, 0x50, 0x57) || within(opcode_, 0x70, 0x7f) ||
           std::find(std::begin(others), std::end(others), opcode_) != std::end(others);
  }
  // From registers, as string functions begin: vxorps, vmovd, vpshufd, vpxor, vbroadcastss, vpbroadcast.
  bool fills_vector() const {
    if (form_ >> 6 != 3) return false;
    if (map_ == 1) return opcode_ == 0x57 || opcode_ == 0x6e || opcode_ == 0x70 || opcode_ == 0xef;
    return map_ == 2 && (opcode_ == 0x18 || within(opcode_, 0x58, 0x59) || within(opcode_, 0x78, 0x7c));
  }

  void leave(std::size_t number_at) {
    using Kind = Instruction::Kind;
    made_.pushes = map_ == 0 && plain_ && (!rex_ || rex_ == 0x41) && within(opcode_, 0x50, 0x57);
    made_.calls = calls();
    made_.emulated = emulated();
    made_.idle = idle();
    if (map_ == 0 && within(opcode_, 0xc2, 0xc3)) made_.kind = Kind::returns;
    if (map_ == 0 && (opcode_ == 0xca || opcode_ == 0xcb || opcode_ == 0xcf)) made_.kind = Kind::jumps_anywhere;
    if (map_ == 0 && (opcode_ == 0xe9 || opcode_ == 0xeb)) made_.kind = Kind::jumps;
    if (map_ == 0 && (within(opcode_, 0x70, 0x7f) || within(opcode_, 0xe0, 0xe3))) made_.kind = Kind::jumps_if;
    if (map_ == 1 && within(opcode_, 0x80, 0x8f)) made_.kind = Kind::jumps_if;
    if (map_ == 0 && opcode_ == 0xff && (operation_ == 4 || operation_ == 5)) made_.kind = Kind::jumps_anywhere;
    if (made_.kind != Kind::jumps && made_.kind != Kind::jumps_if) return;
    std::uint64_t number = 0;
    unsigned size = made_.size - static_cast<unsigned>(number_at);
    for (unsigned i = 0; i < size; i++)
      number |= std::uint64_t{static_cast<unsigned char>(bytes_[number_at + i])} << 8 * i;
    unsigned spare = 64 - 8 * size;
    made_.to = made_.size + (static_cast<std::int64_t>(number << spare) >> spare);
  }

  std::string_view bytes_;
  std::size_t at_ = 0;
  Instruction made_;
  bool plain_ = true, repeated_ = false, narrow_ = false, short_addresses_ = false, long_ = false, vector_ = false;
  unsigned rex_ = 0, map_ = 0, opcode_ = 0, operation_ = 0, form_ = 0;
};

}  // namespace

std::optional<Instruction> decode_instruction(std::string_view bytes) { return Decoder(bytes).decode(); }

std::optional<FunctionEnds> function_ends(std::string_view bytes) {
  using Kind = Instruction::Kind;
  FunctionEnds ends;
  auto size = static_cast<std::int64_t>(bytes.size());
  for (std::size_t at = 0; at < bytes.size();) {
    auto instruction = decode_instruction(bytes.substr(at));
    if (!instruction) return {};
    ends.starts.push_back(at);
    std::int64_t to = static_cast<std::int64_t>(at) + instruction->to;
    bool jumps = instruction->kind == Kind::jumps || instruction->kind == Kind::jumps_if;
    if (instruction->kind == Kind::returns) ends.returns.push_back(at);
    if (jumps && (to < 0 || to >= size)) ends.leaves.push_back({at, to, instruction->kind == Kind::jumps});
    if (instruction->kind == Kind::jumps_anywhere && !instruction->in_function) ends.unknown_jump = true;
    ends.calls |= instruction->calls;
    at += instruction->size;
  }
  return ends;
}

namespace {

// Places near the beginning, to which nothing but idle instructions lead.
struct Places {
  std::optional<std::size_t> scalar;    // the first that is no vector's
  std::optional<std::size_t> emulated;  // the first of those
  bool pushes = false;
};

Places places_near(std::string_view bytes) {
  Places found;
  for (std::size_t at = 0; at < bytes.size();) {
    auto instruction = decode_instruction(bytes.substr(at));
    if (!instruction) break;
    if (!instruction->vector && !found.scalar) found.scalar = at;
    if (instruction->emulated) found.emulated = at;
    found.pushes = instruction->pushes;
    if (instruction->emulated || !instruction->idle) break;
    at += instruction->size;
  }
  return found;
}

// Whether a function goes through a place each time it is called, once.
bool goes_through_once(std::string_view bytes, std::size_t place, bool pushes) {
  using Kind = Instruction::Kind;
  if (place == 0) return true;
  for (std::size_t at = 0; at < bytes.size();) {
    auto instruction = decode_instruction(bytes.substr(at));
    if (!instruction) return false;
    auto to = static_cast<std::int64_t>(at) + instruction->to, size = static_cast<std::int64_t>(bytes.size());
    bool jumps = instruction->kind == Kind::jumps || instruction->kind == Kind::jumps_if;
    if (jumps && to > 0 && to <= static_cast<std::int64_t>(place)) return false;
    // There the function ends, too.
    if (at == place && (instruction->kind == Kind::returns || (jumps && (to < 0 || to >= size)))) return false;
    // To a push none leads that a compiler made, or the stack would grow.
    if (instruction->kind == Kind::jumps_anywhere && !pushes) return false;
    at += instruction->size;
  }
  return true;
}

}  // namespace

Beginning beginning_of(std::string_view bytes) {
  Places near = places_near(bytes);
  auto is_good = [&](std::optional<std::size_t> place, bool pushes) {
    return place && goes_through_once(bytes, *place, pushes);
  };
  auto first = decode_instruction(bytes);
  Beginning found;
  if (first && first->vector && is_good(near.scalar, false))
    found.first = static_cast<std::uint32_t>(*near.scalar);
  else
    found.harmful = first && first->mistaken;
  found.cheap = is_good(near.emulated, near.pushes) ? static_cast<std::uint32_t>(*near.emulated) : found.first;
  return found;
}

}  // namespace kit
