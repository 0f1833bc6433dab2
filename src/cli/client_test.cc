// The real client against a real server on a Unix socket: HTTP, and the streams of a command over WebSocket.
#include "cli/client.h"

#include <csignal>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/fd.h"

namespace saw::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Socket = asio::local::stream_protocol::socket;
using WebSocket = beast::websocket::stream<Socket>;
using Request = http::request<http::string_body>;

// Serves one connection with `serve`, on a thread that the destructor joins.
class Server {
 public:
  explicit Server(std::function<void(Socket, Request)> serve)
      : path_("/tmp/" + random_id("saw-client-test-") + ".sock"),
        acceptor_(io_, asio::local::stream_protocol::endpoint(path_)) {
    thread_ = std::thread([this, serve = std::move(serve)] {
      Socket socket(io_);
      acceptor_.accept(socket);
      beast::flat_buffer buffer;
      Request request;
      boost::system::error_code ec;
      http::read(socket, buffer, request, ec);
      if (!ec) serve(std::move(socket), std::move(request));
    });
  }
  ~Server() {
    thread_.join();
    ::unlink(path_.c_str());
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  asio::io_context io_;
  asio::local::stream_protocol::acceptor acceptor_;
  std::thread thread_;
};

void reply(Socket& socket, http::status status, const std::string& body) {
  http::response<http::string_body> response(status, 11);
  response.body() = body;
  response.prepare_payload();
  http::write(socket, response);
}

// A command at the far end: what arrives is handed over frame by frame, until it says that it has ended.
class FarEnd {
 public:
  FarEnd(Socket socket, const Request& request) : socket_(std::move(socket)) {
    socket_.accept(request);
    socket_.binary(true);
  }
  void send(Stream stream, std::string_view bytes) {
    std::string frame(1, static_cast<char>(stream));
    frame += bytes;
    boost::system::error_code ec;
    socket_.write(asio::buffer(frame), ec);
  }
  // nullopt: the near end is gone.
  std::optional<std::pair<Stream, std::string>> receive() {
    beast::flat_buffer buffer;
    boost::system::error_code ec;
    socket_.read(buffer, ec);
    if (ec || buffer.size() == 0) return std::nullopt;
    const std::string frame = beast::buffers_to_string(buffer.data());
    return std::pair{static_cast<Stream>(frame[0]), frame.substr(1)};
  }
  void exit(const std::string& end, int status) {
    send(Stream::control_from_server,
         R"({"exit":{"end":")" + end + R"(","status":)" + std::to_string(status) + "}}");
    boost::system::error_code ec;
    socket_.close(beast::websocket::close_code::normal, ec);
  }

 private:
  WebSocket socket_;
};

struct Near {
  std::string out, err, started;
  ExecLocal local(int input) {
    return {.input = input,
            .output = [this](Stream stream,
                             std::string_view bytes) { (stream == Stream::output ? out : err) += bytes; },
            .started = [this](std::string_view text) { started = text; }};
  }
};

Pipe make_pipe() {
  return std::move(Pipe::create().value());
}

TEST(Client, sends_the_request_and_returns_the_answer) {
  Request seen;
  Reply got;
  {
    Server server([&](Socket socket, Request request) {
      seen = std::move(request);
      reply(socket, http::status::conflict, R"({"a":1})");
    });
    got = connect_to(server.path())->request("POST", "/v1/workspaces", R"({"name":"dev"})").value();
  }
  EXPECT_EQ(got.status, 409);
  EXPECT_EQ(got.body, R"({"a":1})");
  EXPECT_EQ(seen.method(), http::verb::post);
  EXPECT_EQ(seen.target(), "/v1/workspaces");
  EXPECT_EQ(seen.body(), R"({"name":"dev"})");
  EXPECT_EQ(seen[http::field::content_type], "application/json");
}

TEST(Client, says_that_nobody_listens_when_the_socket_is_absent_or_dead) {
  EXPECT_EQ(connect_to("/nonexistent/saw.sock")->request("GET", "/", "").error().code, "client.no_daemon");
  const std::string dead = "/tmp/" + random_id("saw-client-test-") + ".sock";
  {
    asio::io_context io;
    asio::local::stream_protocol::acceptor acceptor(io, asio::local::stream_protocol::endpoint(dead));
  }
  EXPECT_EQ(connect_to(dead)->request("GET", "/", "").error().code, "client.no_daemon");
  ::unlink(dead.c_str());
  EXPECT_EQ(connect_to(std::string(200, 'x'))->request("GET", "/", "").error().code, "client.bad_path");
}

TEST(Client, a_daemon_that_hangs_up_or_talks_nonsense_is_an_error_and_not_an_answer) {
  {
    Server server([](Socket, Request) {});
    EXPECT_EQ(connect_to(server.path())->request("GET", "/", "").error().code, "client.lost");
  }
  Server server(
      [](Socket socket, Request) { asio::write(socket, asio::buffer(std::string("nonsense\r\n\r\n"))); });
  EXPECT_EQ(connect_to(server.path())->request("GET", "/", "").error().code, "client.malformed");
}

TEST(Exec, relays_both_streams_and_the_exit_status) {
  Near near;
  Result<ExecResult> result;
  {
    Server server([](Socket socket, Request request) {
      FarEnd far(std::move(socket), request);
      far.send(Stream::control_from_server, R"({"started":{"call":"c-1"}})");
      far.send(Stream::output, "out");
      far.send(Stream::error, "err");
      far.send(Stream::output, std::string("\0\xff", 2));
      far.exit("exited", 7);
    });
    result = connect_to(server.path())->exec("/v1/workspaces/dev/exec?spec=e30", near.local(-1));
  }
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->end, "exited");
  EXPECT_EQ(result->status, 7);
  EXPECT_EQ(near.out, std::string("out\0\xff", 5));
  EXPECT_EQ(near.err, "err");
  EXPECT_EQ(near.started, R"({"call":"c-1"})");
}

TEST(Exec, a_refusal_before_the_upgrade_comes_back_as_the_answer_it_is) {
  Server server(
      [](Socket socket, Request) { reply(socket, http::status::forbidden, R"({"error":{"code":"x"}})"); });
  const auto result = connect_to(server.path())->exec("/exec", Near().local(-1));
  ASSERT_TRUE(result) << result.error().message;
  ASSERT_TRUE(result->refused);
  EXPECT_EQ(result->refused->status, 403);
  EXPECT_EQ(result->refused->body, R"({"error":{"code":"x"}})");
}

// The far end echoes while the near end still sends: more than every buffer between them holds.
TEST(Exec, megabytes_flow_both_ways_at_once) {
  constexpr size_t kBytes = 8u << 20;
  const std::string sent = random_bytes(kBytes);
  Pipe pipe = make_pipe();
  std::thread writer([&] {
    EXPECT_TRUE(write_all(pipe.write, sent));
    pipe.write.reset();
  });
  Near near;
  {
    Server server([](Socket socket, Request request) {
      FarEnd far(std::move(socket), request);
      while (auto frame = far.receive()) {
        if (frame->first != Stream::input) continue;
        if (frame->second.empty()) break;
        far.send(Stream::output, frame->second);
      }
      far.exit("exited", 0);
    });
    const auto result = connect_to(server.path())->exec("/exec", near.local(pipe.read.get()));
    EXPECT_TRUE(result);
  }
  writer.join();
  EXPECT_EQ(near.out.size(), kBytes);
  EXPECT_TRUE(near.out == sent);
}

TEST(Exec, input_from_a_file_arrives_whole_and_then_ends) {
  const std::string path = "/tmp/" + random_id("saw-client-test-");
  const std::string content = random_bytes(100'000);
  {
    Fd file = std::move(Fd::open(path, O_WRONLY | O_CREAT, 0600).value());
    ASSERT_TRUE(write_all(file, content));
  }
  Fd file = std::move(Fd::open(path, O_RDONLY).value());
  ::unlink(path.c_str());
  std::string arrived;
  bool ended = false;
  {
    Server server([&](Socket socket, Request request) {
      FarEnd far(std::move(socket), request);
      while (auto frame = far.receive()) {
        if (frame->second.empty()) ended = true;
        if (ended) break;
        arrived += frame->second;
      }
      far.exit("exited", 0);
    });
    EXPECT_TRUE(connect_to(server.path())->exec("/exec", Near().local(file.get())));
  }
  EXPECT_TRUE(ended);
  EXPECT_TRUE(arrived == content);
}

TEST(Exec, does_not_make_the_shells_stdin_non_blocking) {
  Pipe pipe = make_pipe();
  Server server([](Socket socket, Request request) {
    FarEnd far(std::move(socket), request);
    far.exit("exited", 0);
  });
  EXPECT_TRUE(connect_to(server.path())->exec("/exec", Near().local(pipe.read.get())));
  EXPECT_EQ(::fcntl(pipe.read.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST(Exec, signals_reach_the_command_and_not_us) {
  for (const auto& [number, name] :
       {std::pair{SIGINT, "INT"}, {SIGTERM, "TERM"}, {SIGHUP, "HUP"}, {SIGQUIT, "QUIT"}}) {
    std::string control;
    Pipe quiet = make_pipe();  // stdin that says nothing
    {
      Server server([&](Socket socket, Request request) {
        FarEnd far(std::move(socket), request);
        far.send(Stream::control_from_server, R"({"started":{}})");
        if (auto frame = far.receive()) control = frame->second;
        far.exit("signalled", number);
      });
      Near near;
      ExecLocal local = near.local(quiet.read.get());
      local.started = [sent = number](std::string_view) { ::kill(::getpid(), sent); };
      const auto result = connect_to(server.path())->exec("/exec", local);
      ASSERT_TRUE(result);
      EXPECT_EQ(result->end, "signalled");
      EXPECT_EQ(result->status, number);
    }
    EXPECT_EQ(control, std::string(R"({"signal":")") + name + R"("})");
  }
}

TEST(Exec, a_daemon_that_dies_meanwhile_is_an_error) {
  Server server([](Socket socket, Request request) {
    FarEnd far(std::move(socket), request);
    far.receive();  // the end of stdin; what is left unread when a Unix socket closes would take "half" with
                    // it
    far.send(Stream::output, "half");
  });
  Near near;
  const auto result = connect_to(server.path())->exec("/exec", near.local(-1));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, "client.lost");
  EXPECT_EQ(near.out, "half");
}

TEST(Exec, nonsense_from_the_daemon_is_ignored_or_an_error_but_never_a_success) {
  Server server([](Socket socket, Request request) {
    FarEnd far(std::move(socket), request);
    far.send(Stream::control_from_server, "{");
    far.send(Stream::control_from_server, R"({"exit":3})");
    far.send(static_cast<Stream>(200), "x");
    far.send(Stream::control_from_server, R"({"exit":{"end":5,"status":"x"}})");
    while (far.receive()) {
    }
  });
  Near near;
  const auto result = connect_to(server.path())->exec("/exec", near.local(-1));
  ASSERT_TRUE(result);
  EXPECT_NE(result->end, "exited");
}

TEST(UrlSegment, leaves_nothing_that_means_something_in_a_url) {
  EXPECT_EQ(url_segment("dev-1_a.b~"), "dev-1_a.b~");
  EXPECT_EQ(url_segment("a/b?c#d%e f\n\xff"), "a%2Fb%3Fc%23d%25e%20f%0A%FF");
  EXPECT_EQ(url_segment(".."), "%2E%2E");
}

}  // namespace
}  // namespace saw::cli
