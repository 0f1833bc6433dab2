#include "sandbox/git_config.h"

#include <algorithm>

namespace saw::sandbox {
namespace {

bool is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_name(char c) {
  return is_alpha(c) || (c >= '0' && c <= '9') || c == '-';
}
bool is_blank(char c) {  // isspace() of git, without the end of the line
  return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}
char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    if (text_.starts_with(kByteOrderMark)) text_.remove_prefix(kByteOrderMark.size());
    out_.malformed = text_.find('\0') != text_.npos;
  }

  GitConfig run() {
    while (at_ < text_.size() && out_.settings.size() < kMaxGitSettings) step();
    if (at_ < text_.size()) out_.malformed = out_.cut = true;
    return std::move(out_);
  }

 private:
  static constexpr char kEnd = '\n';  // the end of the text also ends its last line

  // "\r\n" is one end of line.
  char peek() const {
    if (at_ >= text_.size()) return kEnd;
    if (text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n') return kEnd;
    return text_[at_];
  }
  char take() {
    const char c = peek();
    if (at_ < text_.size()) at_ += text_[at_] == '\r' && c == kEnd ? 2 : 1;
    return c;
  }
  void skip_line() {
    while (at_ < text_.size() && take() != kEnd) {
    }
  }
  void fail() {
    out_.malformed = true;
    skip_line();
  }

  void step() {
    const char c = peek();
    if (c == kEnd || is_blank(c)) {
      take();
    } else if (c == '#' || c == ';') {
      skip_line();
    } else if (c == '[') {
      take();
      read_section();
    } else if (is_alpha(c)) {
      read_setting();
    } else {
      fail();
    }
  }

  void read_section() {
    section_.clear();
    for (char c = peek(); c != ']'; c = peek()) {
      if (is_blank(c)) return read_subsection();
      if (!is_name(c) && c != '.') return fail();
      section_ += lower(take());
    }
    take();
  }

  void read_subsection() {
    while (is_blank(peek())) take();
    if (peek() != '"') return fail();
    take();
    section_ += '.';
    for (char c = take(); c != '"'; c = take()) {
      if (c == '\\' && peek() != kEnd) c = take();
      if (c == kEnd) {
        out_.malformed = true;  // this line is over already
        return;
      }
      section_ += c;
    }
    if (peek() != ']') return fail();
    take();
  }

  void read_setting() {
    GitSetting setting{.key = section_ + ".", .value = "true"};
    while (is_name(peek())) setting.key += lower(take());
    while (peek() == ' ' || peek() == '\t') take();
    bool understood = true;
    if (peek() == '=') {
      take();
      understood = read_value(setting.value);
    } else if (peek() == '#' || peek() == ';') {
      understood = false;  // git wants '=' or the end of the line
      skip_line();
    } else if (peek() != kEnd) {
      understood = false;
      skip_line();
    }
    if (!understood) out_.malformed = true;
    out_.settings.push_back(std::move(setting));
  }

  // To the end of the line, backslash continuations included. False: git refuses it.
  bool read_value(std::string& value) {
    value.clear();
    size_t kept = 0;  // blanks after this many bytes are dropped at the end
    bool quoted = false;
    for (;;) {
      if (at_ >= text_.size()) break;
      const char c = take();
      if (c == kEnd) {
        value.resize(kept);
        return !quoted;
      }
      if (!quoted && is_blank(c)) {
        if (!value.empty() || kept > 0) value += c;
      } else if (!quoted && (c == '#' || c == ';')) {
        skip_line();
        value.resize(kept);
        return true;
      } else if (c == '"') {
        quoted = !quoted;
        kept = value.size();
      } else if (c == '\\') {
        if (!read_escape(value)) return skip_line(), false;
        kept = value.size();
      } else {
        value += c;
        kept = value.size();
      }
    }
    value.resize(kept);
    return !quoted;
  }

  bool read_escape(std::string& value) {
    switch (take()) {
      case kEnd:
        return true;
      case 't':
        value += '\t';
        return true;
      case 'b':
        value += '\b';
        return true;
      case 'n':
        value += '\n';
        return true;
      case '\\':
        value += '\\';
        return true;
      case '"':
        value += '"';
        return true;
      default:
        return false;
    }
  }

  std::string_view text_;
  size_t at_ = 0;
  std::string section_;
  GitConfig out_;
};

}  // namespace

GitConfig parse_git_config(std::string_view text) {
  return Parser(text).run();
}

}  // namespace saw::sandbox
