// A small closed-loop HTTP/1.1 client: each connection has one request under way, and sends the next when the
// answer has come. It runs in this program, or as a program of its own inside a sandbox:
//
//   if (argc > 2 && argv[1] == std::string("client")) return run_client({argv + 2, argv + argc});
//   Load load{.host = "api.bench.example", .port = 80, .connections = 16, .seconds = 1};
//   LoadResult got = SAW_TRY(parse_result(SAW_TRY(output_of(client_command(program, load)))));
//
// Certificates are verified with the system's trust anchors, or those in SSL_CERT_FILE. Sessions are never
// resumed. Answers need a Content-Length and the expected status; anything else ends the run with an error.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "support/peers.h"

namespace saw::bench {

struct Load {
  enum class Kind : uint8_t {
    kept,   // connections stay open; a sample is one request
    fresh,  // a sample is connect, handshake, one request and its answer
    bulk,   // as kept; the rate is that of the bytes
    idle,   // open connections with one request each, say "ready", wait for the end of stdin
  } kind = Kind::kept;
  enum class Speaks : uint8_t { plain, tls } speaks = Speaks::plain;
  std::string host = {};     // of the Host field, SNI and the certificate
  std::string address = {};  // where to connect; "": ask for the host's
  uint16_t port = 0;
  std::string path = "/";
  int connections = 1, status = 200;
  double seconds = 1;
};

struct LoadResult {
  std::vector<double> micros;
  double per_second = 0;    // requests
  double mib_a_second = 0;  // of bodies
};

Command client_command(const std::string& program, const Load& load);
int run_client(const std::vector<std::string>& arguments);
Result<LoadResult> parse_result(const std::string& output);

}  // namespace saw::bench
