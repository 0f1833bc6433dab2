// The real server on a real Unix socket, before a whole control plane on fakes. The client is a few lines of
// blocking socket code of its own: what is on the wire is tested, not one library against itself.
#include "api/server.h"

#include <thread>

#include <sys/socket.h>
#include <sys/un.h>

#include "api/exec_spec.h"
#include "api/json.h"
#include "base/bytes.h"
#include "control/control_fixture_test.h"

namespace saw::api {
namespace {

class ServerTest : public control::ControlTest {
 protected:
  void SetUp() override {
    boot_ready();
    path_ = directory_ + "/api.sock";
    Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = here();
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listener.get(), 64), 0);
    server_ = std::make_unique<Server>(loop_, *control_, std::move(listener));
  }
  void TearDown() override { server_.reset(); }

  sockaddr_un here() const {
    sockaddr_un address{.sun_family = AF_UNIX};
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    return address;
  }
  // The client runs beside the server, whose thread is this one; it must not touch the fakes.
  void with_client(const std::function<void()>& client) {
    std::thread beside([&] {
      client();
      server_->stop();
    });
    server_->run();
    beside.join();
  }
  Fd dial() const {
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = here();
    EXPECT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return socket;
  }
  static std::string read_some(const Fd& socket) {
    std::string chunk(65536, '\0');
    ssize_t n = ::read(socket.get(), chunk.data(), chunk.size());
    chunk.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return chunk;
  }
  // Sends it and reads to the end of the connection.
  std::string exchange(const std::string& request) const {
    Fd socket = dial();
    EXPECT_TRUE(write_all(socket, request));
    std::string answer;
    for (std::string chunk; !(chunk = read_some(socket)).empty();) answer += chunk;
    return answer;
  }
  std::string request(const std::string& method, const std::string& target,
                      const std::string& body = "") const {
    return exchange(
        fmt::format("{} {} HTTP/1.1\r\nHost: saw\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{}",
                    method, target, body.size(), body));
  }
  static int status(const std::string& answer) {
    return answer.size() > 12 ? std::atoi(answer.c_str() + 9) : 0;
  }
  static Json body(const std::string& answer) {
    return Json::parse(answer.substr(answer.find("\r\n\r\n") + 4), nullptr, false);
  }

  static std::string upgrade(const std::string& workspace, const std::string& spec,
                             const std::string& streams = "exec") {
    return fmt::format(
        "GET /v1/workspaces/{}/{}?spec={} HTTP/1.1\r\nHost: saw\r\nUpgrade: websocket\r\nConnection: "
        "Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        workspace, streams, to_base64url(spec));
  }
  // One masked binary frame (RFC 6455 §5.2) with a mask of zeros.
  static std::string frame(const std::string& payload) {
    std::string out = "\x82";
    out += static_cast<char>(0x80 | payload.size());
    return out + std::string(4, '\0') + payload;
  }
  std::string path_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, status_is_served_and_what_is_unknown_or_malformed_is_refused_in_the_contracts_form) {
  with_client([&] {
    EXPECT_EQ(body(request("GET", "/v1/status"))["state"], "ready");
    EXPECT_EQ(status(request("GET", "/v1/nothing")), 404);
    EXPECT_EQ(status(request("PATCH", "/v1/workspaces")), 405);
    EXPECT_EQ(status(request("POST", "/v1/workspaces/x/expose")), 501);
    std::string bad = request("POST", "/v1/agents", R"({"name":"a","purpose":"p","admin":true})");
    EXPECT_EQ(status(bad), 400);
    EXPECT_EQ(body(bad)["error"]["code"], "request.member");
    EXPECT_EQ(status(request("POST", "/v1/agents", R"({"name":"a","name":"b","purpose":"p"})")), 400);
    EXPECT_EQ(status(request("POST", "/v1/agents", R"({"name":"a","purpose":"p"})")), 201);
    EXPECT_NE(request("GET", "/v1/openapi.yaml").find("openapi: 3.1.0"), std::string::npos);
  });
}

TEST_F(ServerTest, a_body_beyond_the_bound_is_refused_and_the_server_goes_on) {
  with_client([&] {
    EXPECT_EQ(status(exchange("POST /v1/agents HTTP/1.1\r\nHost: saw\r\nContent-Length: 99999999\r\n\r\n")),
              400);
    exchange("\x16\x03\x01 not http\r\n\r\n");
    EXPECT_EQ(status(request("GET", "/v1/status")), 200);
  });
}

TEST_F(ServerTest, an_exec_of_an_unknown_workspace_is_refused_before_the_upgrade) {
  with_client([&] {
    Fd socket = dial();
    ASSERT_TRUE(write_all(socket, upgrade("none", R"({"kind":"call","argv":["x"]})")));
    EXPECT_EQ(status(read_some(socket)), 404);
    Fd other = dial();
    ASSERT_TRUE(write_all(other, upgrade("none", R"({"kind":"call"})")));
    EXPECT_EQ(status(read_some(other)), 400);
  });
}

class ExecStreamTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    owner_ = *control_->caller(::getuid());
    ASSERT_TRUE(control_->put_secret(owner_, "github-token", "x"));
    ASSERT_TRUE(create(spec(), owner_));
  }
  // Connects, and waits for the first frame, which says "started". What came with it is in `early_`.
  Fd start(const std::string& spec, const std::string& streams = "exec") {
    Fd socket = dial();
    EXPECT_TRUE(write_all(socket, upgrade("dev", spec, streams)));
    std::string got;
    while (got.find("\"started\"") == got.npos) {
      std::string chunk = read_some(socket);
      if (chunk.empty()) break;
      got += chunk;
    }
    EXPECT_EQ(status(got), 101) << got;
    early_ = got.substr(std::min(got.find("\"started\""), got.size()));
    return socket;
  }
  // On the control plane's thread, as soon as the fake node has the command.
  void when_started(std::function<void()> act) {
    watch_ = loop_.after(1, [this, act = std::move(act)]() mutable {
      if (node_->execs.empty()) return when_started(std::move(act));
      act();
    });
  }
  control::Caller owner_;
  std::string early_;
  os::Loop::Timer watch_;
  os::Loop::Watch hangup_;
};

TEST_F(ExecStreamTest, output_comes_on_its_streams_and_the_exit_comes_last) {
  when_started([&] {
    ASSERT_TRUE(write_all(node_->pipes[1][1], "to stdout"));
    ASSERT_TRUE(write_all(node_->pipes[1][2], "to stderr"));
    node_->exit(node_->execs[1].sandbox, 1, 3);
  });
  with_client([&] {
    Fd socket = start(R"({"kind":"call","argv":["x"]})");
    std::string got = early_;
    for (std::string chunk; got.find("\"exit\"") == got.npos && !(chunk = read_some(socket)).empty();)
      got += chunk;
    EXPECT_NE(got.find(std::string("\x01") + "to stdout"), got.npos);
    EXPECT_NE(got.find(std::string("\x02") + "to stderr"), got.npos);
    size_t exit = got.find(R"({"exit":{"end":"exited","status":3}})");
    EXPECT_NE(exit, got.npos) << got;
    EXPECT_GT(exit, got.find("to stderr"));
  });
  EXPECT_EQ(world_.sandboxes.size(), 1u);
}

TEST_F(ExecStreamTest, input_reaches_the_command_and_signals_are_passed_on) {
  std::string input;
  when_started([&] {
    node_->pipes[1].erase(node_->pipes[1].begin() + 1, node_->pipes[1].end());
    // Once the client said that its input has ended.
    hangup_ = loop_.watch(node_->pipes[1][0].get(), os::Loop::kHangup, [&](uint32_t) {
      input = read_all(node_->pipes[1][0], 100).value_or("");
      hangup_.cancel();
      node_->exit(node_->execs[1].sandbox, 1, 0);
    });
  });
  with_client([&] {
    Fd socket = start(R"({"kind":"workspace","argv":["x"]})");
    ASSERT_TRUE(write_all(socket, frame(std::string("\0hello ", 7)) + frame(std::string("\0you", 4)) +
                                      frame("\x04{\"signal\":\"USR1\"}") + frame(std::string("\0", 1))));
    for (std::string got; got.find("\"exit\"") == got.npos;) {
      std::string chunk = read_some(socket);
      if (chunk.empty()) break;
      got += chunk;
    }
  });
  EXPECT_EQ(input, "hello you");
  ASSERT_FALSE(node_->signals.empty());
  EXPECT_EQ(node_->signals[0].signal, *signal_number("USR1"));
}

TEST_F(ExecStreamTest, a_client_that_vanishes_ends_its_call) {
  // The server runs until the call's sandbox is gone; the client is gone long before.
  std::function<void()> look = [&] {
    if (!node_->execs.empty() && world_.sandboxes.size() == 1) return server_->stop();
    watch_ = loop_.after(1, [&] { look(); });
  };
  look();
  std::thread client([&] { start(R"({"kind":"call","argv":["x"]})"); });
  server_->run();
  client.join();
  EXPECT_EQ(world_.sandboxes.size(), 1u);
}

TEST_F(ExecStreamTest, who_vanishes_from_a_terminal_is_detached_and_the_next_one_finds_it) {
  when_started([&] { ASSERT_TRUE(write_all(node_->pipes[1][0], "shown before")); });
  with_client([&] {
    {
      Fd vanishes = start("{}", "attach");
    }
    Fd socket = dial();  // what was shown may come with the first frame
    ASSERT_TRUE(write_all(socket, upgrade("dev", R"({"which":"existing"})", "attach")));
    std::string got;
    while (got.find("shown before") == got.npos) {
      const std::string chunk = read_some(socket);
      if (chunk.empty()) break;
      got += chunk;
    }
    EXPECT_NE(got.find(std::string("\x01") + "shown before"), got.npos) << got;
    EXPECT_EQ(status(request("GET", "/v1/workspaces/dev/terminals")), 200);
    EXPECT_EQ(status(request("DELETE", "/v1/workspaces/dev/terminals/other")), 404);
    EXPECT_EQ(status(request("GET", "/v1/workspaces/dev/attach")), 400) << "without an upgrade";
  });
  EXPECT_EQ(node_->execs.size(), 1u);
  EXPECT_TRUE(node_->signals.empty()) << "nothing was hung up";
}

}  // namespace
}  // namespace saw::api
