#include "cli/client.h"

#include <csignal>
#include <deque>
#include <semaphore>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/detach_keys.h"

namespace saw::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using Socket = asio::local::stream_protocol::socket;
using ErrorCode = boost::system::error_code;
using nlohmann::json;

// The library's errors end here.
std::unexpected<Error> failed(const std::string& socket_path, const char* action, const ErrorCode& ec) {
  namespace ae = asio::error;
  if (ec == ae::connection_refused || ec == boost::system::errc::no_such_file_or_directory)
    return Error::make("client.no_daemon", "no daemon at {}", socket_path);
  if (ec == ae::access_denied || ec == boost::system::errc::operation_not_permitted)
    return Error::make("client.not_permitted", "you may not use the socket {}", socket_path);
  if (ec == http::error::body_limit ||
      ec.category() == make_error_code(http::error::bad_version).category()) {
    if (ec != http::error::end_of_stream && ec != http::error::partial_message)
      return Error::make("client.malformed", "{} the daemon at {}: not an answer of SAW ({})", action,
                         socket_path, ec.message());
  }
  return Error::make("client.lost", "{} the daemon at {}: {}", action, socket_path, ec.message());
}

Result<> open_socket(Socket& socket, const std::string& path) {
  if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path))
    return Error::make("client.bad_path", "'{}' is not a usable socket path (1 to {} bytes)", path,
                       sizeof(sockaddr_un::sun_path) - 1);
  ErrorCode ec;
  socket.connect(asio::local::stream_protocol::endpoint(path), ec);
  if (ec) return failed(path, "connecting to", ec);
  return {};
}

// A terminal in raw mode for as long as this lives.
class RawTerminal {
 public:
  explicit RawTerminal(int fd) : fd_(fd) {
    if (fd_ < 0 || ::tcgetattr(fd_, &before_) != 0) return;
    termios raw = before_;
    ::cfmakeraw(&raw);
    active_ = ::tcsetattr(fd_, TCSADRAIN, &raw) == 0;
  }
  ~RawTerminal() {
    if (active_) ::tcsetattr(fd_, TCSADRAIN, &before_);
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

 private:
  int fd_;
  termios before_{};
  bool active_ = false;
};

// Reads stdin on a thread of its own, one chunk for each next(). Asio would make the descriptor non-blocking
// for everyone who shares its open file, the user's shell and our own stdout on the same terminal included.
class InputReader {
 public:
  // `take` is called on the thread; an empty chunk is the end.
  InputReader(int fd, std::function<void(std::string)> take) : fd_(fd), take_(std::move(take)) {
    if (auto pipe = Pipe::create()) stop_ = std::move(*pipe);
    thread_ = std::thread([this] { run(); });
  }
  ~InputReader() {
    stop_.write.reset();
    wanted_.release();
    thread_.join();
  }
  InputReader(const InputReader&) = delete;
  InputReader& operator=(const InputReader&) = delete;
  void next() { wanted_.release(); }

 private:
  void run() {
    if (!stop_.read)
      return take_("");  // no way to stop reading: then not to begin is better than to hang at the end
    for (;;) {
      wanted_.acquire();
      pollfd watched[] = {{fd_, POLLIN, 0}, {stop_.read.get(), POLLIN, 0}};
      while (::poll(watched, 2, -1) < 0 && errno == EINTR) {
      }
      if (watched[1].revents != 0) return;
      std::string chunk(kInputChunk, '\0');
      ssize_t got;
      while ((got = ::read(fd_, chunk.data(), chunk.size())) < 0 && errno == EINTR) {
      }
      chunk.resize(got > 0 ? static_cast<size_t>(got) : 0);
      const bool end = chunk.empty();
      take_(std::move(chunk));
      if (end) return;
    }
  }

  int fd_;
  std::function<void(std::string)> take_;
  Pipe stop_;
  std::counting_semaphore<> wanted_{0};
  std::thread thread_;
};

std::string resize_message(int terminal) {
  winsize size{};
  if (::ioctl(terminal, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) return {};
  return json{{"resize", {size.ws_row, size.ws_col}}}.dump();
}

uint64_t count_in(const json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}

// "TERM" for SIGTERM: what the daemon understands.
const char* signal_name(int number) {
  switch (number) {
    case SIGINT:
      return "INT";
    case SIGTERM:
      return "TERM";
    case SIGHUP:
      return "HUP";
    case SIGQUIT:
      return "QUIT";
    default:
      return "";
  }
}

// The relay of one command. Everything happens on one io_context, so that input and output flow at once: a
// command that reads and writes
// (`cat`) would deadlock a relay that does one after the other.
class Relay {
 public:
  Relay(asio::io_context& io, Socket socket, const ExecLocal& local)
      : socket_(std::move(socket)), signals_(io), held_keys_(io), local_(local) {
    socket_.read_message_max(kMaxFrame);
  }

  Result<ExecResult> run(asio::io_context& io, const std::string& socket_path, const std::string& target) {
    websocket::response_type response;
    ErrorCode ec;
    socket_.handshake(response, "saw", target, ec);
    if (ec == websocket::error::upgrade_declined)
      return ExecResult{.refused = Reply{static_cast<int>(response.result_int()), response.body()}};
    if (ec) return failed(socket_path, "asking", ec);
    socket_.binary(true);
    RawTerminal raw(local_.terminal == Terminal::raw ? local_.input : -1);
    watch_signals();
    start_input();
    read_frame();
    io.run();
    if (result_) return *result_;
    if (error_ == websocket::error::closed)
      return Error::make("client.lost", "the daemon closed the connection before the command ended");
    return failed(socket_path, "reading from", error_);
  }

 private:
  void watch_signals() {
    for (int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) signals_.add(number);
    if (local_.terminal == Terminal::raw) {
      signals_.add(SIGWINCH);
      send(Stream::control_to_server, resize_message(local_.input));
    }
    wait_for_signal();
  }
  void wait_for_signal() {
    signals_.async_wait([this](const ErrorCode& ec, int number) {
      if (ec) return;
      if (number != SIGWINCH && local_.detach == Detach::by_hand) return detach();
      if (number == SIGWINCH)
        send(Stream::control_to_server, resize_message(local_.input));
      else
        send(Stream::control_to_server, json{{"signal", signal_name(number)}}.dump());
      wait_for_signal();
    });
  }

  void start_input() {
    if (local_.input < 0) return take_input("");
    input_.emplace(local_.input, [this](std::string chunk) {
      asio::post(socket_.get_executor(), [this, chunk = std::move(chunk)] { take_input(chunk); });
    });
    input_->next();
  }
  void take_input(const std::string& chunk) {
    input_ended_ = chunk.empty();
    if (local_.detach == Detach::never) return send(Stream::input, chunk);
    held_keys_.cancel();
    DetachKeys::Typed typed = keys_.take(chunk);
    if (!typed.pass.empty()) send(Stream::input, typed.pass);
    if (typed.leaves || input_ended_) return detach();
    if (keys_.holding()) release_later();
    if (typed.pass.empty()) input_->next();
  }
  // A Ctrl-P that nothing followed was meant for the command.
  void release_later() {
    held_keys_.expires_after(std::chrono::milliseconds(kHoldMs));
    held_keys_.async_wait([this](const ErrorCode& ec) {
      if (ec || result_ || !keys_.holding()) return;
      send_more(keys_.release());
    });
  }
  // Input beside what input_ waits for: a next() of its own would read two chunks ahead.
  void send_more(std::string_view bytes) {
    std::string frame(1, static_cast<char>(Stream::input));
    frame += bytes;
    outgoing_.push_back({std::move(frame), AsksForMore::no});
    if (outgoing_.size() == 1) write_frame();
  }

  // What was typed before is sent first.
  void detach() {
    if (result_) return;
    leaving_ = true;
    if (outgoing_.empty()) leave();
  }
  void leave() {
    result_ = ExecResult{.end = "detached"};
    finish({});
  }

  void send(Stream stream, std::string_view bytes) {
    if (stream == Stream::control_to_server && bytes.empty()) return;
    std::string frame(1, static_cast<char>(stream));
    frame += bytes;
    outgoing_.push_back({std::move(frame), stream == Stream::input ? AsksForMore::yes : AsksForMore::no});
    if (outgoing_.size() == 1) write_frame();
  }
  void write_frame() {
    socket_.async_write(asio::buffer(outgoing_.front().bytes), [this](const ErrorCode& ec, size_t) {
      if (ec) return;  // the reading side learns of it, after what the command still said
      const bool more = outgoing_.front().asks_for_more == AsksForMore::yes;
      outgoing_.pop_front();
      if (!outgoing_.empty()) write_frame();
      if (outgoing_.empty() && leaving_ && !result_) return leave();
      if (more && !input_ended_ && input_) input_->next();
    });
  }

  void read_frame() {
    socket_.async_read(incoming_, [this](const ErrorCode& ec, size_t) {
      if (result_) return;
      if (ec) return finish(ec);
      const auto data = incoming_.cdata();
      take_frame({static_cast<const char*>(data.data()), data.size()});
      incoming_.consume(incoming_.size());
      if (!result_) read_frame();
    });
  }
  void take_frame(std::string_view frame) {
    if (frame.empty()) return;
    const auto stream = static_cast<Stream>(frame[0]);
    frame.remove_prefix(1);
    if (stream == Stream::output || stream == Stream::error) return local_.output(stream, frame);
    if (stream != Stream::control_from_server) return;
    const json message = json::parse(frame, nullptr, false);
    if (!message.is_object()) return;
    if (message.contains("started") && local_.started) local_.started(message["started"].dump());
    if (const auto exit = message.find("exit"); exit != message.end() && exit->is_object()) {
      ExecResult result;
      if (const auto end = exit->find("end"); end != exit->end() && end->is_string()) result.end = *end;
      if (const auto status = exit->find("status"); status != exit->end() && status->is_number_integer())
        result.status = *status;
      if (const auto limit = exit->find("limit"); limit != exit->end() && limit->is_string())
        result.limit = *limit;
      if (const auto met = exit->find("limits_met"); met != exit->end() && met->is_object()) {
        result.memory_kills = count_in(*met, "memory");
        result.forks_refused = count_in(*met, "pids");
      }
      result_ = std::move(result);
      finish({});
    }
  }
  void finish(const ErrorCode& ec) {
    error_ = ec;
    ErrorCode ignored;
    input_.reset();
    signals_.cancel(ignored);
    held_keys_.cancel();
    beast::get_lowest_layer(socket_).close(ignored);
  }

  websocket::stream<Socket> socket_;
  std::optional<InputReader> input_;
  asio::signal_set signals_;
  asio::steady_timer held_keys_;
  const ExecLocal& local_;
  beast::flat_buffer incoming_;
  enum class AsksForMore { no, yes };
  struct Frame {
    std::string bytes;
    AsksForMore asks_for_more;
  };
  std::deque<Frame>
      outgoing_;  // of input one chunk at most, and control frames at the speed of a person's signals
  DetachKeys keys_;
  bool input_ended_ = false, leaving_ = false;
  std::optional<ExecResult> result_;
  ErrorCode error_;
};

class UnixApi final : public Api {
 public:
  explicit UnixApi(std::string path) : path_(std::move(path)) {}

  Result<Reply> request(const std::string& method, const std::string& target,
                        const std::string& body) override try {
    asio::io_context io;
    Socket socket(io);
    SAW_TRY(open_socket(socket, path_));
    http::request<http::string_body> request(http::string_to_verb(method), target, 11);
    request.set(http::field::host, "saw");
    request.set(http::field::user_agent, "saw/" SAW_VERSION);
    request.keep_alive(false);
    if (!body.empty()) request.set(http::field::content_type, "application/json");
    request.body() = body;
    request.prepare_payload();

    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(kMaxReply);
    std::optional<ErrorCode> done;
    http::async_write(socket, request, [&](const ErrorCode& write_error, size_t) {
      if (write_error) return void(done = write_error);
      http::async_read(socket, buffer, parser,
                       [&](const ErrorCode& read_error, size_t) { done = read_error; });
    });
    io.run_for(std::chrono::milliseconds(kRequestTimeoutMs));
    if (!done) {
      ErrorCode ignored;
      socket.close(ignored);
      io.run();
      return Error::make("client.timeout", "the daemon at {} did not answer within {} s", path_,
                         kRequestTimeoutMs / 1000);
    }
    if (*done) return failed(path_, "asking", *done);
    return Reply{static_cast<int>(parser.get().result_int()), std::move(parser.get().body())};
  } catch (const std::exception& e) {
    return Error::make("client.lost", "asking the daemon at {}: {}", path_, e.what());
  }

  Result<ExecResult> exec(const std::string& target, const ExecLocal& local) override try {
    asio::io_context io;
    Socket socket(io);
    SAW_TRY(open_socket(socket, path_));
    return Relay(io, std::move(socket), local).run(io, path_, target);
  } catch (const std::exception& e) {
    return Error::make("client.lost", "relaying the command through {}: {}", path_, e.what());
  }

 private:
  std::string path_;
};

}  // namespace

std::unique_ptr<Api> connect_to(std::string socket_path) {
  return std::make_unique<UnixApi>(std::move(socket_path));
}

std::string url_segment(std::string_view text) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
  std::string out;
  for (const char c : text) {
    if (kPlain.contains(c))
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  // A segment of dots alone would be resolved away as a path.
  if (out == "." || out == "..") return out == "." ? "%2E" : "%2E%2E";
  return out;
}

}  // namespace saw::cli
