#include "os/link.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace saw::os {
namespace {

TEST(Link, messages_arrive_whole_in_order_and_with_descriptors) {
  Loop loop = std::move(*Loop::create());
  auto [a, b] = std::move(*Channel::pair());
  std::vector<std::string> got;
  std::unique_ptr<Link> right =
      Link::open(loop, std::move(b), {.on_message = [&](std::string payload, std::vector<Fd> fds) {
                   got.push_back(std::move(payload));
                   if (got.size() == 1) {
                     ASSERT_EQ(fds.size(), 1u);
                     EXPECT_EQ(read_all(fds[0], 100).value(), "through the pipe");
                   }
                   if (got.size() == 3) loop.stop();
                 }});
  std::unique_ptr<Link> left = Link::open(loop, std::move(a), {.on_message = [](auto, auto) {}});
  Pipe pipe = std::move(*Pipe::create());
  ASSERT_TRUE(write_all(pipe.write, "through the pipe"));
  pipe.write.reset();
  std::vector<Fd> fds;
  fds.push_back(std::move(pipe.read));
  left->send("small", std::move(fds));
  left->send(std::string(1u << 20, 'x'));
  left->send("");
  loop.run();
  EXPECT_EQ(got[0], "small");
  EXPECT_EQ(got[1].size(), 1u << 20);
  EXPECT_EQ(got[2], "");
}

TEST(Link, the_end_of_the_peer_is_told_once) {
  Loop loop = std::move(*Loop::create());
  auto [a, b] = std::move(*Channel::pair());
  int closed = 0;
  auto link =
      Link::open(loop, std::move(a),
                 {.on_message = [](auto, auto) {}, .on_close = [&](std::string) { ++closed, loop.stop(); }});
  std::move(b).take().reset();
  loop.run();
  EXPECT_EQ(closed, 1);
  EXPECT_FALSE(link->is_open());
}

TEST(Link, a_peer_that_never_reads_is_cut_off_at_the_bound) {
  Loop loop = std::move(*Loop::create());
  auto [a, b] = std::move(*Channel::pair());
  bool closed = false;
  auto link = Link::open(
      loop, std::move(a),
      {.on_message = [](auto, auto) {}, .on_close = [&](std::string) { closed = true, loop.stop(); }});
  for (size_t i = 0; i < Link::kMaxQueuedMessages + 2000 && link->is_open(); ++i) link->send("x");
  EXPECT_FALSE(link->is_open());
  loop.run();
  EXPECT_TRUE(closed);
}

TEST(Channel, an_unsealed_memfd_is_refused) {
  auto [a, b] = std::move(*Channel::pair());
  char kind = 'm';
  Fd plain = std::move(*Fd::open("/dev/null", O_RDONLY));
  int raw = plain.get();
  // A hostile sender: the kind byte says "in a memfd", the descriptor is something else.
  ASSERT_TRUE(a.send("", std::span(&raw, 1)));
  auto benign = b.receive();
  ASSERT_TRUE(benign);
  EXPECT_EQ(benign->fds.size(), 1u);
  ASSERT_EQ(::write(a.fd(), &kind, 1), 1);
  EXPECT_EQ(b.receive().error().code, "channel.malformed");
}

TEST(Loop, timers_run_in_order_and_cancelled_ones_do_not) {
  Loop loop = std::move(*Loop::create());
  std::string order;
  auto a = loop.after(2, [&] { order += "a"; });
  auto b = loop.after(1, [&] { order += "b"; });
  auto c = loop.after(1, [&] { order += "c"; });
  auto d = loop.after(3, [&] { order += "d", loop.stop(); });
  c.cancel();
  loop.run();
  EXPECT_EQ(order, "bad");
}

}  // namespace
}  // namespace saw::os
