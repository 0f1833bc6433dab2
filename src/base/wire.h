// The encoding of SAW's own messages between its programs: little-endian integers, u32-length-prefixed strings and lists.
//
// A message is a plain struct that names its members once:
//
//   struct Resize {
//     uint64_t exec = 0;
//     uint16_t rows = 0, columns = 0;
//     template <class Archive> void members(Archive& a) { a(exec, rows, columns); }
//   };
//   using ToNode = std::variant<Resize, Kill>;          // the position in the variant is the message's number on the wire
//   std::string bytes = wire::encode(ToNode{Resize{7, 24, 80}});
//   Result<ToNode> back = wire::decode<ToNode>(bytes);
//
// Supported: bool, integers, enums (with kEnumLast(E) found by ADL, so that unknown values are refused), std::string,
// std::vector, std::optional, std::map<std::string, T>, structs with members(). Decoding is total: any bytes give a message or
// an error "wire.malformed"; no allocation exceeds the input's own size times a small factor; trailing bytes are refused.
// Both ends are built from the same tree: there is no versioning beyond the hello messages.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/result.h"

namespace saw::wire {

class Writer {
 public:
  template <class... T> void operator()(const T&... value) { (put(value), ...); }
  std::string take() && { return std::move(out_); }

 private:
  template <class T> void put(const T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      out_.push_back(value ? 1 : 0);
    } else if constexpr (std::is_enum_v<T>) {
      put(static_cast<std::underlying_type_t<T>>(value));
    } else if constexpr (std::is_integral_v<T>) {
      auto bits = static_cast<std::make_unsigned_t<T>>(value);
      for (size_t i = 0; i < sizeof(T); ++i) out_.push_back(static_cast<char>((bits >> (8 * i)) & 0xff));
    } else {
      const_cast<T&>(value).members(
          *this);  // members() is one function for both directions; a Writer never modifies
    }
  }
  void put(const std::string& value) {
    put(static_cast<uint32_t>(value.size()));
    out_ += value;
  }
  template <class T> void put(const std::vector<T>& list) {
    put(static_cast<uint32_t>(list.size()));
    for (const T& item : list) put(item);
  }
  template <class T> void put(const std::optional<T>& value) {
    put(value.has_value());
    if (value) put(*value);
  }
  template <class T> void put(const std::map<std::string, T>& map) {
    put(static_cast<uint32_t>(map.size()));
    for (const auto& [key, item] : map) put(key), put(item);
  }

  std::string out_;
};

class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}
  template <class... T> void operator()(T&... value) { (get(value), ...); }
  bool complete() const { return ok_ && in_.empty(); }
  bool ok() const { return ok_; }

 private:
  template <class T> void get(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      uint8_t byte = 0;
      get(byte);
      if (byte > 1) ok_ = false;
      value = byte == 1;
    } else if constexpr (std::is_enum_v<T>) {
      std::underlying_type_t<T> raw{};
      get(raw);
      if (raw < 0 || raw > static_cast<std::underlying_type_t<T>>(kEnumLast(T{}))) return void(ok_ = false);
      value = static_cast<T>(raw);
    } else if constexpr (std::is_integral_v<T>) {
      if (in_.size() < sizeof(T)) return void(ok_ = false);
      std::make_unsigned_t<T> bits = 0;
      for (size_t i = 0; i < sizeof(T); ++i)
        bits |= static_cast<std::make_unsigned_t<T>>(
            static_cast<std::make_unsigned_t<T>>(static_cast<unsigned char>(in_[i])) << (8 * i));
      value = static_cast<T>(bits);
      in_.remove_prefix(sizeof(T));
    } else {
      value.members(*this);
    }
  }
  // A count is believed only as far as the remaining bytes could hold that many one-byte items.
  size_t count() {
    uint32_t n = 0;
    get(n);
    if (n > in_.size()) ok_ = false;
    return ok_ ? n : 0;
  }
  void get(std::string& value) {
    size_t n = count();
    value.assign(in_.substr(0, n));
    in_.remove_prefix(n);
  }
  template <class T> void get(std::vector<T>& list) {
    size_t n = count();
    list.clear();
    for (size_t i = 0; i < n && ok_; ++i) get(list.emplace_back());
  }
  template <class T> void get(std::optional<T>& value) {
    bool present = false;
    get(present);
    value.reset();
    if (present && ok_) get(value.emplace());
  }
  template <class T> void get(std::map<std::string, T>& map) {
    size_t n = count();
    map.clear();
    for (size_t i = 0; i < n && ok_; ++i) {
      std::string key;
      get(key);
      auto [slot, fresh] = map.try_emplace(std::move(key));
      if (!fresh) return void(ok_ = false);
      get(slot->second);
    }
  }

  std::string_view in_;
  bool ok_ = true;
};

// One struct, without a message number: for state files.
template <class T> std::string encode_struct(const T& value) {
  Writer writer;
  writer(value);
  return std::move(writer).take();
}

template <class T> Result<T> decode_struct(std::string_view bytes) {
  Reader reader(bytes);
  T value{};
  reader(value);
  if (!reader.complete()) return Error::make("wire.malformed", "malformed record of {} bytes", bytes.size());
  return value;
}

template <class... T> std::string encode(const std::variant<T...>& message) {
  Writer writer;
  writer(static_cast<uint16_t>(message.index()));
  std::visit([&](const auto& body) { writer(body); }, message);
  return std::move(writer).take();
}

template <class Variant, size_t I = 0> void decode_alternative(Reader& reader, size_t index, Variant& out) {
  if constexpr (I < std::variant_size_v<Variant>) {
    if (index == I) return reader(out.template emplace<I>());
    decode_alternative<Variant, I + 1>(reader, index, out);
  }
}

template <class Variant> Result<Variant> decode(std::string_view bytes) {
  Reader reader(bytes);
  uint16_t index = 0;
  reader(index);
  Variant out;
  if (reader.ok() && index < std::variant_size_v<Variant>) decode_alternative(reader, index, out);
  if (!reader.complete() || index >= std::variant_size_v<Variant>)
    return Error::make("wire.malformed", "malformed message of {} bytes, number {}", bytes.size(), index);
  return out;
}

}  // namespace saw::wire
