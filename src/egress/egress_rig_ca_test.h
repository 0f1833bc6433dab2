// The rig's certificate authorities: the workspace's, the internet's, and one that nobody trusts.
#pragma once

#include <string>

struct ssl_ctx_st;

namespace saw::egress::rig {

struct Ca {
  std::string certificate, key;
};
Ca make_ca(const char* name);
void trust(ssl_ctx_st* context, const Ca& authority);

}  // namespace saw::egress::rig
