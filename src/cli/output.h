// Where a command's words go. Results to stdout, messages for people to stderr; with --json stdout carries
// JSON and nothing else.
//
//   out.line("workspace dev is running");          // a result for people: nothing with --json
//   out.json({{"id", id}});                        // a result for programs: nothing without --json
//   out.note("using the built-in policy");         // stderr, both
//
// Text from the agent's side goes through table(), field() or printable(): no escape sequence of its choosing
// reaches a terminal.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "cli/failure.h"

namespace saw::cli {

enum class Format { people, json };
enum class Paint { plain, colour };
enum class Tone { plain, good, warn, bad, dim, bold };

class Output {
 public:
  using Write = std::function<void(std::string_view)>;
  Output(Write out, Write err, Format format, Paint paint);

  bool is_json() const { return format_ == Format::json; }
  Paint paint() const { return paint_; }

  void line(std::string_view text) const;
  void json(const nlohmann::json& document) const;
  void note(std::string_view text) const;
  // Bytes to stdout or stderr as they are, in either format: relayed output, exported records.
  void raw(std::string_view bytes) const { out_(bytes); }
  void raw_error(std::string_view bytes) const { err_(bytes); }

  // Aligned columns; the last one is not padded. Cells are made printable. Without rows: only `empty`, to
  // stderr.
  using Row = std::vector<std::string>;
  void table(const Row& heads, const std::vector<Row>& rows, std::string_view empty) const;
  // "  name:   value", value made printable; an empty value prints nothing.
  void field(std::string_view name, std::string_view value) const;

  void failure(const Failure& failure) const;
  std::string painted(std::string_view text, Tone tone) const;

 private:
  Write out_, err_;
  Format format_;
  Paint paint_;
};

// {"error":{…}} as `--json` prints it, without empty members.
nlohmann::json to_json(const Failure& failure);

}  // namespace saw::cli
