#include "os/nftables.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#include "os/netlink_message.h"
#include "os/netns.h"

namespace saw::os {
namespace {

static_assert(kCapturePort == 15 && kDnsPort == 53, "the rulesets below spell these numbers");
constexpr const char* kBothRuleset = R"(table inet saw {
  chain capture {
    type nat hook output priority -100; policy accept;
    ip daddr 127.0.0.0/8 return
    ip6 daddr ::1 return
    meta l4proto tcp redirect to :15
  }
  chain only_captured {
    type filter hook output priority 0; policy drop;
    ct state established,related accept
    ip daddr 127.0.0.0/8 accept
    ip6 daddr ::1 accept
    udp dport 53 accept
  }
}
)";
constexpr const char* kIpv4Ruleset = R"(table ip saw {
  chain capture {
    type nat hook output priority -100; policy accept;
    ip daddr 127.0.0.0/8 return
    meta l4proto tcp redirect to :15
  }
  chain only_captured {
    type filter hook output priority 0; policy drop;
    ct state established,related accept
    ip daddr 127.0.0.0/8 accept
    udp dport 53 accept
  }
}
)";

constexpr const char* kTable = "saw";
constexpr const char* kCapture = "capture";
constexpr const char* kOnlyCaptured = "only_captured";
constexpr uint32_t kIpv4Destination = 16, kIpv6Destination = 24;  // offsets in the network header
constexpr uint32_t kDestinationPort = 2;                          // in the transport header
constexpr std::string_view kLoopbackNetwork("\x7f", 1);           // of 127.0.0.0/8: its one significant byte
constexpr std::string_view kLoopbackIpv6("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
// The bits of `ct state` (NF_CT_STATE_BIT): 1 << (IP_CT_… + 1).
constexpr uint32_t kEstablishedOrRelated = (1u << (IP_CT_ESTABLISHED + 1)) | (1u << (IP_CT_RELATED + 1));
static_assert(kEstablishedOrRelated == 6);

// Sentences of nf_tables: what `nft` says, as messages. Values pass through register 1.
class RulesWriter {
 public:
  explicit constexpr RulesWriter(Families families) : families_(families) {}

  constexpr NetlinkRequest write();

 private:
  struct Port {
    char bytes[2];
    constexpr operator std::string_view() const { return {bytes, 2}; }
  };
  static constexpr Port net_port(uint16_t port) {
    return {{static_cast<char>(port >> 8), static_cast<char>(port & 0xff)}};
  }

  constexpr void batch_edge(uint16_t type, const char* action) {
    // The subsystem, in network order.
    request_.message({.type = type, .action = action}, [&] {
      const Port subsystem = net_port(NFNL_SUBSYS_NFTABLES);
      request_.fixed(nfgenmsg{
          .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = std::bit_cast<uint16_t>(subsystem)});
    });
  }
  template <class Body> constexpr void message(uint16_t type, uint16_t flags, const char* action, Body body) {
    request_.message({.type = static_cast<uint16_t>((NFNL_SUBSYS_NFTABLES << 8) | type),
                      .flags = static_cast<uint16_t>(flags | NLM_F_CREATE | NLM_F_ACK),
                      .action = action},
                     [&] {
                       request_.fixed(nfgenmsg{.nfgen_family = family(), .version = NFNETLINK_V0});
                       body();
                     });
  }
  constexpr uint8_t family() const {
    return families_ == Families::ipv4_and_ipv6 ? NFPROTO_INET : NFPROTO_IPV4;
  }

  constexpr void chain(const char* name, const char* type, uint32_t policy, int32_t priority,
                       const char* action) {
    message(NFT_MSG_NEWCHAIN, NLM_F_EXCL, action, [&] {
      request_.text(NFTA_CHAIN_TABLE, kTable);
      request_.text(NFTA_CHAIN_NAME, name);
      request_.text(NFTA_CHAIN_TYPE, type);
      request_.net_number(NFTA_CHAIN_POLICY, policy);
      request_.nested(NFTA_CHAIN_HOOK, [&] {
        request_.net_number(NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_OUT);
        request_.net_number(NFTA_HOOK_PRIORITY, static_cast<uint32_t>(priority));
      });
    });
  }
  template <class Body> constexpr void rule(const char* chain, const char* action, Body body) {
    message(NFT_MSG_NEWRULE, NLM_F_APPEND, action, [&] {
      request_.text(NFTA_RULE_TABLE, kTable);
      request_.text(NFTA_RULE_CHAIN, chain);
      request_.nested(NFTA_RULE_EXPRESSIONS, body);
    });
  }
  constexpr void loopback_passes(const char* chain, int32_t with) {
    rule(chain, "adding the packet filter's rule 'ip daddr 127.0.0.0/8'", [&] {
      if (families_ == Families::ipv4_and_ipv6) family_is(NFPROTO_IPV4);
      payload(NFT_PAYLOAD_NETWORK_HEADER, kIpv4Destination, kLoopbackNetwork.size());
      compare(NFT_CMP_EQ, kLoopbackNetwork);
      verdict(with);
    });
    if (families_ != Families::ipv4_and_ipv6) return;
    rule(chain, "adding the packet filter's rule 'ip6 daddr ::1'", [&] {
      family_is(NFPROTO_IPV6);
      payload(NFT_PAYLOAD_NETWORK_HEADER, kIpv6Destination, kLoopbackIpv6.size());
      compare(NFT_CMP_EQ, kLoopbackIpv6);
      verdict(with);
    });
  }

  template <class Body> constexpr void expression(const char* name, Body body) {
    request_.nested(NFTA_LIST_ELEM, [&] {
      request_.text(NFTA_EXPR_NAME, name);
      request_.nested(NFTA_EXPR_DATA, body);
    });
  }
  constexpr void family_is(char family) { meta_is(NFT_META_NFPROTO, family); }
  constexpr void protocol_is(char protocol) { meta_is(NFT_META_L4PROTO, protocol); }
  constexpr void meta_is(uint32_t key, char value) {
    expression("meta", [&] {
      request_.net_number(NFTA_META_KEY, key);
      request_.net_number(NFTA_META_DREG, NFT_REG_1);
    });
    compare(NFT_CMP_EQ, {&value, 1});
  }
  constexpr void payload(uint32_t base, uint32_t offset, uint32_t length) {
    expression("payload", [&] {
      request_.net_number(NFTA_PAYLOAD_DREG, NFT_REG_1);
      request_.net_number(NFTA_PAYLOAD_BASE, base);
      request_.net_number(NFTA_PAYLOAD_OFFSET, offset);
      request_.net_number(NFTA_PAYLOAD_LEN, length);
    });
  }
  constexpr void compare(uint32_t operation, std::string_view with) {
    expression("cmp", [&] {
      request_.net_number(NFTA_CMP_SREG, NFT_REG_1);
      request_.net_number(NFTA_CMP_OP, operation);
      request_.nested(NFTA_CMP_DATA, [&] { request_.bytes(NFTA_DATA_VALUE, with); });
    });
  }
  // (ct state & established,related) != 0. The register holds a number of the machine's byte order.
  constexpr void connection_is_known() {
    expression("ct", [&] {
      request_.net_number(NFTA_CT_KEY, NFT_CT_STATE);
      request_.net_number(NFTA_CT_DREG, NFT_REG_1);
    });
    expression("bitwise", [&] {
      request_.net_number(NFTA_BITWISE_SREG, NFT_REG_1);
      request_.net_number(NFTA_BITWISE_DREG, NFT_REG_1);
      request_.net_number(NFTA_BITWISE_LEN, sizeof kEstablishedOrRelated);
      request_.nested(NFTA_BITWISE_MASK,
                      [&] { request_.host_number(NFTA_DATA_VALUE, kEstablishedOrRelated); });
      request_.nested(NFTA_BITWISE_XOR, [&] { request_.host_number(NFTA_DATA_VALUE, 0); });
    });
    compare(NFT_CMP_NEQ, std::string_view("\0\0\0\0", 4));
  }
  constexpr void verdict(int32_t code) {
    expression("immediate", [&] {
      request_.net_number(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
      request_.nested(NFTA_IMMEDIATE_DATA, [&] {
        request_.nested(NFTA_DATA_VERDICT,
                        [&] { request_.net_number(NFTA_VERDICT_CODE, static_cast<uint32_t>(code)); });
      });
    });
  }
  constexpr void redirect(uint16_t port) {
    expression("immediate", [&] {
      request_.net_number(NFTA_IMMEDIATE_DREG, NFT_REG_1);
      request_.nested(NFTA_IMMEDIATE_DATA, [&] { request_.bytes(NFTA_DATA_VALUE, net_port(port)); });
    });
    expression("redir", [&] {
      request_.net_number(NFTA_REDIR_REG_PROTO_MIN, NFT_REG_1);
      request_.net_number(NFTA_REDIR_FLAGS, NF_NAT_RANGE_PROTO_SPECIFIED);
    });
  }

  Families families_;
  NetlinkRequest request_;
};

constexpr NetlinkRequest RulesWriter::write() {
  batch_edge(NFNL_MSG_BATCH_BEGIN, "opening the packet filter's transaction");
  message(NFT_MSG_NEWTABLE, NLM_F_EXCL, "creating the packet filter's table", [&] {
    request_.text(NFTA_TABLE_NAME, kTable);
    request_.net_number(NFTA_TABLE_FLAGS, 0);
  });
  chain(kCapture, "nat", NF_ACCEPT, -100, "creating the packet filter's capture chain");
  chain(kOnlyCaptured, "filter", NF_DROP, 0, "creating the packet filter's dropping chain");
  loopback_passes(kCapture, NFT_RETURN);
  rule(kCapture, "adding the packet filter's rule 'meta l4proto tcp redirect'", [&] {
    protocol_is(IPPROTO_TCP);
    redirect(kCapturePort);
  });
  rule(kOnlyCaptured, "adding the packet filter's rule 'ct state established,related accept'", [&] {
    connection_is_known();
    verdict(NF_ACCEPT);
  });
  loopback_passes(kOnlyCaptured, NF_ACCEPT);
  rule(kOnlyCaptured, "adding the packet filter's rule 'udp dport 53 accept'", [&] {
    protocol_is(IPPROTO_UDP);
    payload(NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPort, 2);
    compare(NFT_CMP_EQ, net_port(kDnsPort));
    verdict(NF_ACCEPT);
  });
  batch_edge(NFNL_MSG_BATCH_END, "committing the packet filter's transaction");
  return request_;
}

const char* advice(const Error& error) {
  switch (error.os_errno) {
    case EEXIST:
      return "; the network namespace already has a packet filter of SAW's";
    case EPERM:
      return "; it takes CAP_NET_ADMIN in the user namespace that owns the network namespace";
    case ENOENT:
    case EOPNOTSUPP:
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
      return "; this kernel lacks a part of nf_tables: load the modules nf_tables, nft_ct, nft_chain_nat and "
             "nft_redir";
    default:
      return "";
  }
}

}  // namespace

Result<> install_capture_rules(Families families) {
  static constexpr NetlinkRequest kBoth = RulesWriter(Families::ipv4_and_ipv6).write();
  static constexpr NetlinkRequest kIpv4 = RulesWriter(Families::ipv4_only).write();
  auto done = exchange(NETLINK_NETFILTER, families == Families::ipv4_and_ipv6 ? kBoth : kIpv4);
  if (done) return {};
  const Error& error = done.error();
  return std::unexpected(Error{"network.filter", error.message + advice(error), error.os_errno});
}

const char* capture_ruleset(Families families) {
  return families == Families::ipv4_and_ipv6 ? kBothRuleset : kIpv4Ruleset;
}

}  // namespace saw::os
