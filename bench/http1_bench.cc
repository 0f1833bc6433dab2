// What one request costs in parsing and rewriting, before any I/O.
#include <benchmark/benchmark.h>

#include "egress/credentials.h"
#include "egress/http1_message.h"

namespace {

using namespace saw::egress;

constexpr std::string_view kRequest =
    "GET /repos/acme/widgets/pulls?state=open HTTP/1.1\r\nHost: api.github.com\r\nUser-Agent: "
    "curl/8.4.0\r\nAccept: application/vnd.github+json\r\n"
    "Accept-Encoding: gzip, deflate\r\nAuthorization: Bearer SAW-PLACEHOLDER-github\r\nX-GitHub-Api-Version: "
    "2022-11-28\r\nConnection: keep-alive\r\n\r\n";
constexpr std::string_view kAnswer =
    "HTTP/1.1 200 OK\r\nDate: Tue, 24 Nov 2026 03:00:00 GMT\r\nContent-Type: application/json; "
    "charset=utf-8\r\nContent-Length: 1024\r\n"
    "Cache-Control: private, max-age=60\r\nETag: W/\"0123456789abcdef\"\r\nX-RateLimit-Remaining: "
    "4999\r\nServer: github.com\r\n\r\n";

void parse_request(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(parse_request_head(kRequest));
}
BENCHMARK(parse_request);

void parse_answer(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(parse_response_head(kAnswer, "GET"));
}
BENCHMARK(parse_answer);

void rewrite_request(benchmark::State& state) {
  ParsedRequest parsed = parse_request_head(kRequest);
  UpstreamRequest out{.method = "GET",
                      .target = parsed.head.target,
                      .authority = "api.github.com",
                      .body = {},
                      .credential_header = "Authorization",
                      .credential_value = "Bearer ghp_0123456789"};
  for (auto _ : state) benchmark::DoNotOptimize(upstream_head(out, parsed.head.fields));
}
BENCHMARK(rewrite_request);

void redact_16_kib(benchmark::State& state) {
  std::string body(16u << 10, 'x');
  Redactor redactor({{"ghp_0123456789abcdefghijklmnopqrstuvwxyz", "SAW-PLACEHOLDER-github"}});
  for (auto _ : state) benchmark::DoNotOptimize(redactor.feed(body));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * body.size()));
}
BENCHMARK(redact_16_kib);

}  // namespace

BENCHMARK_MAIN();
