#include "policy/graphql.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace saw::policy {
namespace {

using Reason = std::string_view;
constexpr Reason kMalformed = "malformed:graphql", kOversized = "malformed:graphql-oversized";

struct Token {
  enum class Kind : uint8_t { end, punctuator, name, value, bad } kind = Kind::end;
  std::string_view text;  // of a punctuator or a name
};

bool name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool digit(char c) {
  return c >= '0' && c <= '9';
}

// §2.1: one token at a time. Strings and numbers are only delimited: their value does not matter here.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}
  Token next();

 private:
  void skip_ignored();
  Token string();
  Token block_string();
  Token number();
  Token punctuator();

  std::string_view text_;
  size_t at_ = 0;
};

void Lexer::skip_ignored() {
  constexpr std::string_view kBom = "\xef\xbb\xbf";
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',')
      ++at_;
    else if (c == '#')
      at_ = std::min(text_.find_first_of("\r\n", at_), text_.size());
    else if (text_.substr(at_).starts_with(kBom))
      at_ += kBom.size();
    else
      return;
  }
}

Token Lexer::next() {
  skip_ignored();
  if (at_ >= text_.size()) return {};
  const size_t begin = at_;
  if (name_start(text_[at_])) {
    while (at_ < text_.size() && (name_start(text_[at_]) || digit(text_[at_]))) ++at_;
    return {Token::Kind::name, text_.substr(begin, at_ - begin)};
  }
  if (digit(text_[at_]) || text_[at_] == '-') return number();
  if (text_.substr(at_).starts_with("\"\"\"")) return block_string();
  if (text_[at_] == '"') return string();
  return punctuator();
}

Token Lexer::string() {
  for (++at_; at_ < text_.size(); ++at_) {
    const auto c = static_cast<unsigned char>(text_[at_]);
    if (c == '"') {
      ++at_;
      return {Token::Kind::value, {}};
    }
    if (c == '\n' || c == '\r' || (c < 0x20 && c != '\t')) break;
    if (c != '\\') continue;
    constexpr std::string_view kEscapes = "\"\\/bfnrtu";
    ++at_;
    if (at_ >= text_.size() || kEscapes.find(text_[at_]) == std::string_view::npos) break;
  }
  return {Token::Kind::bad, {}};
}

Token Lexer::block_string() {
  constexpr std::string_view kQuotes = "\"\"\"";
  for (at_ += kQuotes.size(); at_ < text_.size(); ++at_) {
    if (text_.substr(at_).starts_with("\\\"\"\"")) {
      at_ += kQuotes.size();
    } else if (text_.substr(at_).starts_with(kQuotes)) {
      at_ += kQuotes.size();
      return {Token::Kind::value, {}};
    }
  }
  return {Token::Kind::bad, {}};
}

Token Lexer::number() {
  const size_t begin = at_++;
  constexpr std::string_view kContinue = "0123456789.eE+-";
  while (at_ < text_.size() && kContinue.find(text_[at_]) != std::string_view::npos) ++at_;
  // "1x" and "1..." are errors of the grammar, so that no reader splits a number another way.
  const bool valid = digit(text_[at_ - 1]) && (at_ == text_.size() || !name_start(text_[at_])) &&
                     text_.substr(begin, at_ - begin).find("..") == std::string_view::npos;
  return {valid ? Token::Kind::value : Token::Kind::bad, {}};
}

Token Lexer::punctuator() {
  const size_t size = text_.substr(at_).starts_with("...") ? 3 : 1;
  constexpr std::string_view kSingle = "!$&():=@[]{|}";
  if (size == 1 && kSingle.find(text_[at_]) == std::string_view::npos) return {Token::Kind::bad, {}};
  at_ += size;
  return {Token::Kind::punctuator, text_.substr(at_ - size, size)};
}

struct Selection {
  enum class Kind : uint8_t { field, spread } kind = Kind::field;
  std::string_view name;
};
using Selections = std::vector<Selection>;

struct Operation {
  OperationType type = OperationType::query;
  std::string_view name;
  Selections root;
};

class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text) { advance(); }

  std::vector<Operation> operations;
  std::unordered_map<std::string_view, Selections> fragments;

  Reason document();

 private:
  void advance();
  bool is(std::string_view punctuator) const {
    return token_.kind == Token::Kind::punctuator && token_.text == punctuator;
  }
  bool is_name(std::string_view name) const {
    return token_.kind == Token::Kind::name && token_.text == name;
  }
  bool take(std::string_view punctuator);
  bool take_name(std::string_view& out);

  bool operation();
  bool fragment();
  bool variables();
  bool type(size_t depth);
  bool directives();
  bool arguments();
  bool value(size_t depth);
  bool list_value(size_t depth);
  bool object_value(size_t depth);
  // Adds what the set selects directly, inline fragments opened, to `out`; nullptr: only read past it.
  bool selection_set(size_t depth, Selections* out);
  bool selection(size_t depth, Selections* out);
  bool spread(size_t depth, Selections* out);

  Lexer lexer_;
  Token token_;
  size_t tokens_ = 0;
  bool oversized_ = false;
};

void Parser::advance() {
  if (++tokens_ > GraphqlOperation::kMaxTokens) oversized_ = true;
  token_ = oversized_ ? Token{Token::Kind::bad, {}} : lexer_.next();
}

bool Parser::take(std::string_view punctuator) {
  if (!is(punctuator)) return false;
  advance();
  return true;
}

bool Parser::take_name(std::string_view& out) {
  if (token_.kind != Token::Kind::name) return false;
  out = token_.text;
  advance();
  return true;
}

Reason Parser::document() {
  do {
    const bool read = is_name("fragment") ? fragment() : operation();
    if (!read) return oversized_ ? kOversized : kMalformed;
  } while (token_.kind != Token::Kind::end);
  return {};
}

bool Parser::operation() {
  Operation out;
  if (!is("{")) {
    constexpr std::pair<std::string_view, OperationType> kTypes[] = {
        {"query", OperationType::query},
        {"mutation", OperationType::mutation},
        {"subscription", OperationType::subscription}};
    const auto* type = std::ranges::find_if(kTypes, [&](const auto& t) { return is_name(t.first); });
    if (type == std::end(kTypes)) return false;
    out.type = type->second;
    advance();
    take_name(out.name);
    if (is("(") && !variables()) return false;
    if (!directives()) return false;
  }
  if (!selection_set(0, &out.root)) return false;
  const bool known = std::ranges::any_of(operations, [&](const Operation& o) { return o.name == out.name; });
  if (known) return false;  // two of one name, or two without
  operations.push_back(std::move(out));
  return true;
}

bool Parser::fragment() {
  std::string_view name, condition;
  advance();
  if (!take_name(name) || name == "on" || !is_name("on")) return false;
  advance();
  Selections root;
  return take_name(condition) && directives() && selection_set(0, &root) &&
         fragments.emplace(name, std::move(root)).second;
}

bool Parser::variables() {
  advance();
  std::string_view name;
  do {
    if (!take("$") || !take_name(name) || !take(":") || !type(0)) return false;
    if (take("=") && !value(0)) return false;
    if (!directives()) return false;
  } while (!is(")") && token_.kind != Token::Kind::end);
  return take(")");
}

bool Parser::type(size_t depth) {
  if (depth > GraphqlOperation::kMaxDepth) return !(oversized_ = true);
  std::string_view name;
  const bool read = take("[") ? type(depth + 1) && take("]") : take_name(name);
  if (read) take("!");
  return read;
}

bool Parser::directives() {
  std::string_view name;
  while (take("@")) {
    if (!take_name(name)) return false;
    if (is("(") && !arguments()) return false;
  }
  return true;
}

bool Parser::arguments() {
  advance();
  std::string_view name;
  do {
    if (!take_name(name) || !take(":") || !value(0)) return false;
  } while (!is(")"));
  return take(")");
}

bool Parser::value(size_t depth) {
  if (depth > GraphqlOperation::kMaxDepth) return !(oversized_ = true);
  std::string_view name;
  if (take("$")) return take_name(name);
  if (is("[")) return list_value(depth);
  if (is("{")) return object_value(depth);
  if (token_.kind != Token::Kind::value && token_.kind != Token::Kind::name) return false;
  advance();
  return true;
}

bool Parser::list_value(size_t depth) {
  advance();
  while (!take("]"))
    if (!value(depth + 1)) return false;
  return true;
}

bool Parser::object_value(size_t depth) {
  advance();
  std::string_view name;
  while (!take("}"))
    if (!take_name(name) || !take(":") || !value(depth + 1)) return false;
  return true;
}

bool Parser::selection_set(size_t depth, Selections* out) {
  if (depth > GraphqlOperation::kMaxDepth) return !(oversized_ = true);
  if (!take("{") || is("}")) return false;
  while (!take("}"))
    if (!selection(depth, out)) return false;
  return true;
}

bool Parser::selection(size_t depth, Selections* out) {
  if (take("...")) return spread(depth, out);
  std::string_view name;
  if (!take_name(name)) return false;
  if (take(":") && !take_name(name)) return false;  // what came first was an alias
  if (is("(") && !arguments()) return false;
  if (!directives()) return false;
  if (out != nullptr) out->push_back({Selection::Kind::field, name});
  return !is("{") || selection_set(depth + 1, nullptr);
}

bool Parser::spread(size_t depth, Selections* out) {
  std::string_view name;
  if (token_.kind == Token::Kind::name && token_.text != "on") {
    take_name(name);
    if (out != nullptr) out->push_back({Selection::Kind::spread, name});
    return directives();
  }
  if (is_name("on")) {
    advance();
    if (!take_name(name)) return false;
  }
  return directives() && selection_set(depth + 1, out);
}

// Replaces spreads by the fields of their fragments, each fragment once.
class Resolver {
 public:
  explicit Resolver(const std::unordered_map<std::string_view, Selections>& fragments)
      : fragments_(fragments) {}

  Reason add(const Selections& selections, std::vector<std::string_view>& fields) {
    std::vector<const Selections*> pending = {&selections};
    while (!pending.empty()) {
      const Selections& current = *pending.back();
      pending.pop_back();
      for (const Selection& s : current) {
        if (s.kind == Selection::Kind::field) {
          if (fields.size() == GraphqlOperation::kMaxRootFields) return kOversized;
          fields.push_back(s.name);
          continue;
        }
        const auto it = fragments_.find(s.name);
        if (it == fragments_.end()) return kMalformed;
        if (seen_.insert(s.name).second) pending.push_back(&it->second);
      }
    }
    return fields.empty() ? kMalformed : Reason();
  }

 private:
  const std::unordered_map<std::string_view, Selections>& fragments_;
  std::unordered_set<std::string_view> seen_;
};

}  // namespace

std::expected<GraphqlOperation, std::string_view> graphql_operation(
    std::string_view document, std::optional<std::string_view> operation_name) {
  Parser parser(document);
  if (Reason reason = parser.document(); !reason.empty()) return std::unexpected(reason);
  if (parser.operations.empty()) return std::unexpected("graphql-operation-unknown");
  const Operation* chosen = parser.operations.data();
  if (operation_name) {
    const auto it = std::ranges::find(parser.operations, *operation_name, &Operation::name);
    if (it == parser.operations.end()) return std::unexpected("graphql-operation-unknown");
    chosen = &*it;
  } else if (parser.operations.size() > 1) {
    return std::unexpected("graphql-operation-ambiguous");
  }
  GraphqlOperation out{.type = chosen->type, .name = chosen->name};
  if (Reason reason = Resolver(parser.fragments).add(chosen->root, out.fields); !reason.empty())
    return std::unexpected(reason);
  return out;
}

}  // namespace saw::policy
