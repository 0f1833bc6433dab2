#include "egress/http1_body.h"

#include <algorithm>

namespace saw::egress {

Task<BodyReader::Part> BodyReader::next() {
  in_.consume(std::exchange(taken_, 0));
  if (finished_ || framing_ == Framing::none) co_return end();
  if (framing_ == Framing::chunked) co_return co_await next_chunked();
  co_return co_await next_counted();
}

Task<BodyReader::Part> BodyReader::next_counted() {
  const bool counted = framing_ == Framing::length;
  if (counted && left_ == 0) co_return end();
  while (in_.view().empty()) {
    Inbound::Fill got = co_await in_.fill();
    if (got == Inbound::Fill::end && !counted) co_return end();
    if (got != Inbound::Fill::more) co_return Part{};
  }
  std::string_view data = in_.view();
  if (counted) data = data.substr(0, static_cast<size_t>(std::min<uint64_t>(left_, data.size())));
  left_ -= counted ? data.size() : 0;
  taken_ = data.size();
  co_return Part{.state = State::data, .data = data, .problem = {}};
}

Task<BodyReader::Part> BodyReader::next_chunked() {
  while (true) {
    ChunkedDecoder::Step step = decoder_.step(in_.view());
    if (!step.problem.empty()) {
      problem_ = step.problem;
      co_return Part{.state = State::malformed, .data = {}, .problem = step.problem};
    }
    if (!step.data.empty()) {
      taken_ = step.consumed;
      co_return Part{.state = State::data, .data = step.data, .problem = {}};
    }
    in_.consume(step.consumed);
    if (decoder_.finished()) co_return end();
    if (step.consumed == 0 && co_await in_.fill() != Inbound::Fill::more) co_return Part{};
  }
}

Task<BodyReader::Collected> BodyReader::collect(std::string& into, uint64_t limit) {
  if (framing_ == Framing::length && left_ > limit) co_return Collected::too_large;
  while (true) {
    Part part = co_await next();
    if (part.state == State::end) co_return Collected::whole;
    if (part.state == State::failed) co_return Collected::failed;
    if (part.state == State::malformed) co_return Collected::malformed;
    if (part.data.size() > limit - into.size()) co_return Collected::too_large;
    into += part.data;
  }
}

}  // namespace saw::egress
