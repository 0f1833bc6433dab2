// The only translation unit with Beast in it.
#include "api/server.h"

#include <csignal>
#include <deque>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <unistd.h>

#include "api/connections.h"
#include "api/exec_spec.h"
#include "api/routes.h"
#include "base/log.h"
#include "os/socket.h"

namespace saw::api {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using Local = asio::local::stream_protocol;
using Stream_ = beast::basic_stream<Local>;
using ErrorCode = boost::system::error_code;
using Task = asio::awaitable<void>;

// Errors as values: the awaited call stores its error here.
auto into(ErrorCode& error) {
  return asio::redirect_error(asio::use_awaitable, error);
}

constexpr size_t kMaxHeader = 4u << 20;  // an exec spec travels in the target
constexpr size_t kChunk = 64u << 10;     // of a command's output, in one frame
constexpr size_t kMaxFrame = 1u << 20;   // from the client
constexpr int kCloseSeconds = 10;
constexpr size_t kInputFrames = 8;  // buffered for a command that does not read

HttpRequest to_request(const http::request<http::string_body>& message, const control::Caller& caller,
                       Target target) {
  return {.method = std::string(message.method_string()),
          .path = std::move(target.path),
          .body = message.body(),
          .query = std::move(target.query),
          .caller = caller};
}

// ---- one command's streams over one WebSocket
// -------------------------------------------------------------------------------------

class Relay : public std::enable_shared_from_this<Relay> {
 public:
  using Socket = websocket::stream<Stream_>;
  using Frames = asio::experimental::channel<void(ErrorCode, std::string)>;

  Relay(asio::io_context& io, std::unique_ptr<control::CommandHandle> handle)
      : input_(io),
        output_(io),
        error_(io),
        exit_signal_(io, asio::steady_timer::time_point::max()),
        frames_(io, 1),
        input_frames_(io, kInputFrames),
        handle_(std::move(handle)) {
    handle_->on_exit([this](control::Exit exit) { on_exit(exit); });
    const bool terminal = !handle_->output;
    input_.assign(terminal ? ::dup(handle_->input.get()) : handle_->input.release());
    output_.assign(terminal ? handle_->input.release() : handle_->output.release());
    if (!terminal) error_.assign(handle_->error.release());
    for (auto* descriptor : {&input_, &output_, &error_})
      if (descriptor->is_open()) descriptor->non_blocking(true);
  }

  Task run(Socket socket) {
    auto self = shared_from_this();
    socket_.emplace(std::move(socket));
    auto executor = co_await asio::this_coro::executor;
    frames_left_ = error_.is_open() ? 2 : 1;
    asio::co_spawn(executor, [self] { return self->pump(self->output_, Stream::output); }, asio::detached);
    if (error_.is_open())
      asio::co_spawn(executor, [self] { return self->pump(self->error_, Stream::error); }, asio::detached);
    asio::co_spawn(executor, [self] { return self->feed_input(); }, asio::detached);
    asio::co_spawn(executor, [self] { return self->listen(); }, asio::detached);
    co_await write_frames();
    stop();
  }

 private:
  void on_exit(control::Exit exit) {
    exit_ = exit;
    ErrorCode ignored;
    output_.cancel(ignored);  // pumps that wait look again, and find the end
    error_.cancel(ignored);
    exit_signal_.cancel();
  }

  // Everything ends: the client is gone, or has been told the exit.
  void stop() {
    ErrorCode ignored;
    gone_ = true;
    handle_.reset();
    for (auto* descriptor : {&input_, &output_, &error_}) descriptor->close(ignored);
    exit_signal_.cancel();
    frames_.close();
    input_frames_.close();
    beast::get_lowest_layer(*socket_).close();
  }

  // Reads what the command wrote; waits while the client is slow, because the frame channel holds one frame.
  Task pump(asio::posix::stream_descriptor& from, Stream stream) {
    std::string chunk;
    while (!gone_) {
      chunk.resize(1 + kChunk);
      chunk[0] = static_cast<char>(stream);
      ssize_t n = ::read(from.native_handle(), chunk.data() + 1, kChunk);
      if (n > 0) {
        chunk.resize(1 + static_cast<size_t>(n));
        ErrorCode error;
        co_await frames_.async_send(ErrorCode(), std::move(chunk), into(error));
        if (error) break;
        chunk = {};
        continue;
      }
      if (n == 0 || (errno != EAGAIN && errno != EINTR)) break;  // a pty's end is EIO
      // After the exit only what was written before it is read: a background process may hold the pipe for
      // days.
      if (exit_) break;
      ErrorCode error;
      co_await from.async_wait(asio::posix::descriptor_base::wait_read, into(error));
    }
    if (!gone_) {
      ErrorCode error;
      co_await frames_.async_send(ErrorCode(), std::string(), into(error));  // empty: this stream has ended
    }
  }

  Task write_frames() {
    ErrorCode error;
    std::string frame = started_frame(*handle_);
    co_await socket_->async_write(asio::buffer(frame), into(error));
    while (!error && frames_left_ > 0) {
      frame = co_await frames_.async_receive(into(error));
      if (error) break;
      if (frame.empty())
        --frames_left_;
      else
        co_await socket_->async_write(asio::buffer(frame), into(error));
    }
    while (!error && !gone_ && !exit_) {
      ErrorCode woken;
      co_await exit_signal_.async_wait(into(woken));
    }
    if (error || gone_) co_return;
    frame = exit_frame(*exit_);
    co_await socket_->async_write(asio::buffer(frame), into(error));
    if (!error) co_await socket_->async_close(websocket::close_code::normal, into(error));
  }

  Task listen() {
    beast::flat_buffer buffer;
    for (;;) {
      ErrorCode error;
      co_await socket_->async_read(buffer, into(error));
      if (error || gone_ || !socket_->got_binary()) break;
      std::string frame(static_cast<const char*>(buffer.data().data()), buffer.size());
      buffer.consume(buffer.size());
      if (frame.empty()) break;
      const auto stream = static_cast<Stream>(frame[0]);
      frame.erase(0, 1);
      if (stream == Stream::input) {
        co_await input_frames_.async_send(ErrorCode(), std::move(frame), into(error));
        if (error) break;
      } else if (stream == Stream::client_control) {
        if (!obey(frame)) break;
      } else {
        break;
      }
    }
    if (!gone_ && !exit_) stop();  // the client went away, or speaks something else
  }

  bool obey(std::string_view text) {
    auto frame = parse_control_frame(text);
    if (!frame || !handle_) return false;
    if (auto* signal = std::get_if<SignalFrame>(&*frame)) handle_->signal(signal->number);
    if (auto* resize = std::get_if<ResizeFrame>(&*frame)) handle_->resize(resize->rows, resize->columns);
    return true;
  }

  Task feed_input() {
    while (!gone_) {
      ErrorCode error;
      std::string frame = co_await input_frames_.async_receive(into(error));
      if (error) co_return;
      if (frame.empty()) break;  // the end of input
      co_await asio::async_write(input_, asio::buffer(frame), into(error));
      if (error) {
        co_await drop_input();
        co_return;
      }
    }
    ErrorCode ignored;
    if (error_.is_open())
      input_.close(
          ignored);  // of a pty both directions are one descriptor: its end of input is typed, not closed
  }

  // The command closed its input: what comes is read and forgotten, so that signals behind it arrive.
  Task drop_input() {
    for (ErrorCode error; !error && !gone_;) co_await input_frames_.async_receive(into(error));
  }

  asio::posix::stream_descriptor input_, output_, error_;
  asio::steady_timer exit_signal_;
  Frames frames_, input_frames_;
  std::unique_ptr<control::CommandHandle> handle_;
  std::optional<Socket> socket_;
  std::optional<control::Exit> exit_;
  int frames_left_ = 0;
  bool gone_ = false;
};

}  // namespace

// ---- the server
// -------------------------------------------------------------------------------------------------------------------

struct Server::State {
  State(os::Loop& l, control::Control& c) : loop(l), control(c), router(c), acceptor(io), loop_ready(io) {}

  os::Loop& loop;
  control::Control& control;
  Router router;
  asio::io_context io{1};
  Local::acceptor acceptor;
  asio::posix::stream_descriptor loop_ready;
  Connections connections;

  // The control plane's loop inside this one.
  Task run_loop() {
    for (;;) {
      ErrorCode error;
      co_await loop_ready.async_wait(asio::posix::descriptor_base::wait_read, into(error));
      if (error || !loop.run_ready()) {
        io.stop();
        co_return;
      }
    }
  }

  Task accept() {
    for (;;) {
      ErrorCode error;
      Local::socket socket(io);
      co_await acceptor.async_accept(socket, into(error));
      if (error == asio::error::operation_aborted) co_return;
      if (error) {  // out of descriptors, say: let others finish
        asio::steady_timer pause(io, std::chrono::milliseconds(100));
        co_await pause.async_wait(into(error));
        continue;
      }
      const auto peer = os::peer_credentials(socket.native_handle());
      if (!peer || !connections.enter(peer->uid)) continue;  // closed at once
      asio::co_spawn(io, serve(Stream_(std::move(socket)), peer->uid),
                     [this, uid = peer->uid](std::exception_ptr failure) {
                       connections.leave(uid);
                       if (failure) log_error("an API connection ended by an exception");
                     });
    }
  }

  asio::awaitable<HttpResponse> route(HttpRequest request) {
    auto start = [this, &request](auto handler) {
      router.handle(request, [this, handler = std::move(handler)](HttpResponse response) mutable {
        asio::post(io, [handler = std::move(handler), response = std::move(response)]() mutable {
          handler(std::move(response));
        });
      });
    };
    co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(HttpResponse)>(
        start, asio::use_awaitable);
  }

  Task wait_ready() {
    auto start = [this](auto handler) {
      control.when_ready(
          [this, handler = std::move(handler)](Result<>) mutable { asio::post(io, std::move(handler)); });
    };
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(start, asio::use_awaitable);
  }

  using Started = Result<std::shared_ptr<Relay>>;
  using HandleReply = control::Reply<std::unique_ptr<control::CommandHandle>>;
  // `begin` is given what answers it.
  asio::awaitable<Started> await_streams(std::move_only_function<void(HandleReply)> begin) {
    auto start = [this, &begin](auto handler) {
      begin([this,
             handler = std::move(handler)](Result<std::unique_ptr<control::CommandHandle>> handle) mutable {
        Started started = handle ? Started(std::make_shared<Relay>(io, std::move(*handle)))
                                 : Started(std::unexpected(std::move(handle).error()));
        asio::post(io, [handler = std::move(handler), started = std::move(started)]() mutable {
          handler(std::move(started));
        });
      });
    };
    co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Started)>(
        start, asio::use_awaitable);
  }

  asio::awaitable<Started> open_streams(const HttpRequest& request, const Router::Streams& asked) {
    auto spec = request.query.find("spec");
    const std::string_view text = spec == request.query.end() ? std::string_view() : spec->second;
    if (asked.of == Router::Streams::Of::terminal) {
      auto attach = parse_attach_spec(text);
      if (!attach) co_return std::unexpected(std::move(attach).error());
      co_return co_await await_streams([&](HandleReply reply) {
        control.attach(request.caller, asked.workspace, std::move(*attach), std::move(reply));
      });
    }
    auto exec = parse_exec_spec(text);
    if (!exec) co_return std::unexpected(std::move(exec).error());
    co_return co_await await_streams([&](HandleReply reply) {
      control.start_command(request.caller, asked.workspace, std::move(*exec), std::move(reply));
    });
  }

  Task serve(Stream_ stream, uint32_t uid) {
    beast::flat_buffer buffer;
    for (;;) {
      http::request_parser<http::string_body> parser;
      parser.body_limit(kMaxBody);
      parser.header_limit(kMaxHeader);
      stream.expires_after(std::chrono::seconds(kIdleSeconds));
      ErrorCode error;
      co_await http::async_read(stream, buffer, parser, into(error));
      if (error == http::error::body_limit) {
        co_await respond(stream, to_response(Error{"request.too_large", "a body of more than 4 MiB", 0}), 11,
                         false, error);
        co_return;
      }
      if (error) co_return;
      stream.expires_never();
      const bool keep_alive = parser.get().keep_alive();
      const unsigned version = parser.get().version();
      HttpResponse response;
      // Only the status is told while the control plane recovers; everybody else waits for it, bounded.
      if (parser.get().target() != "/v1/status") co_await wait_ready();
      if (auto caller = control.caller(uid); !caller) {
        response = to_response(caller.error());
      } else if (auto target = parse_target(parser.get().target()); !target) {
        response = to_response(target.error());
      } else {
        HttpRequest request = to_request(parser.get(), *caller, std::move(*target));
        auto streams = websocket::is_upgrade(parser.get()) ? Router::streams(request) : std::nullopt;
        if (streams) {
          Started started = co_await open_streams(request, *streams);
          if (started) {
            co_await upgrade(std::move(stream), parser.release(), std::move(*started));
            co_return;
          }
          response = to_response(started.error());
        } else {
          response = co_await route(std::move(request));
        }
      }
      stream.expires_after(std::chrono::seconds(kIdleSeconds));
      co_await respond(stream, std::move(response), version, keep_alive, error);
      if (error || !keep_alive) co_return;
    }
  }

  Task respond(Stream_& stream, HttpResponse response, unsigned version, bool keep_alive, ErrorCode& error) {
    http::response<http::string_body> message(static_cast<http::status>(response.status), version);
    message.set(http::field::content_type, response.content_type);
    message.keep_alive(keep_alive);
    message.body() = std::move(response.body);
    message.prepare_payload();
    co_await http::async_write(stream, message, into(error));
  }

  Task upgrade(Stream_ stream, http::request<http::string_body> request, std::shared_ptr<Relay> relay) {
    Relay::Socket socket(std::move(stream));
    socket.binary(true);
    socket.read_message_max(kMaxFrame);
    // A command may be silent for days; only the handshake, and the answer to our close, are waited for with
    // a bound.
    socket.set_option(websocket::stream_base::timeout{std::chrono::seconds(kCloseSeconds),
                                                      websocket::stream_base::none(), false});
    ErrorCode error;
    co_await socket.async_accept(request, into(error));
    if (!error) co_await relay->run(std::move(socket));
  }
};

Server::Server(os::Loop& loop, control::Control& control, Fd listener)
    : state_(std::make_unique<State>(loop, control)) {
  state_->acceptor.assign(Local(), listener.release());
  state_->loop_ready.assign(::dup(loop.fd()));
  asio::co_spawn(state_->io, state_->run_loop(), asio::detached);
  asio::co_spawn(state_->io, state_->accept(), asio::detached);
}
Server::~Server() = default;

void Server::run() {
  state_->io.run();
}
void Server::stop() {
  state_->io.stop();
}

}  // namespace saw::api
