#include "control/workspace_ca.h"

#include <memory>

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace saw::control {
namespace {

struct Free {
  void operator()(X509* p) const { X509_free(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(BIO* p) const { BIO_free(p); }
};

TEST(WorkspaceCa, it_is_a_ca_that_cannot_make_another_one_and_its_key_fits) {
  auto ca = make_certificate_authority("dev", 1'790'000'000 * kSecond);
  ASSERT_TRUE(ca);
  std::unique_ptr<BIO, Free> certificate_text(
      BIO_new_mem_buf(ca->certificate_pem.data(), static_cast<int>(ca->certificate_pem.size())));
  std::unique_ptr<BIO, Free> key_text(
      BIO_new_mem_buf(ca->key_pem.data(), static_cast<int>(ca->key_pem.size())));
  std::unique_ptr<X509, Free> certificate(
      PEM_read_bio_X509(certificate_text.get(), nullptr, nullptr, nullptr));
  std::unique_ptr<EVP_PKEY, Free> key(PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr));
  ASSERT_TRUE(certificate && key);
  EXPECT_EQ(X509_check_private_key(certificate.get(), key.get()), 1);
  EXPECT_EQ(X509_verify(certificate.get(), key.get()), 1);
  EXPECT_EQ(X509_check_ca(certificate.get()), 1);
  EXPECT_EQ(X509_get_pathlen(certificate.get()), 0);
  EXPECT_EQ(X509_get_key_usage(certificate.get()), static_cast<uint32_t>(KU_KEY_CERT_SIGN | KU_CRL_SIGN));
}

TEST(WorkspaceCa, two_workspaces_never_share_a_key) {
  EXPECT_NE(make_certificate_authority("dev", 0)->key_pem, make_certificate_authority("dev", 0)->key_pem);
}

}  // namespace
}  // namespace saw::control
