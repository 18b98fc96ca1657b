// SPDX-License-Identifier: Apache-2.0
#include "net/base64.hpp"

#include <gtest/gtest.h>

#include <string>

namespace troupe::net {
namespace {

std::string encoded(std::string_view text, base64_form form, bool padded) {
  std::string out(base64_encoded_size(text.size(), padded), '?');
  EXPECT_EQ(encode_base64(out.data(), text, form, padded), out.size());
  return out;
}

std::string decoded(std::string_view text, base64_form form) {
  std::string out(base64_decoded_size(text.size()), '?');
  const auto size = decode_base64(out.data(), text, form);
  if (!size) return "none";
  out.resize(*size);
  return out;
}

TEST(base64, encodes_the_vectors_of_rfc_4648) {
  const char* const vectors[][3] = {{"", "", ""},
                                    {"f", "Zg==", "Zg"},
                                    {"fo", "Zm8=", "Zm8"},
                                    {"foo", "Zm9v", "Zm9v"},
                                    {"foob", "Zm9vYg==", "Zm9vYg"},
                                    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
                                    {"foobar", "Zm9vYmFy", "Zm9vYmFy"}};
  for (const auto& [text, padded, bare] : vectors) {
    EXPECT_EQ(encoded(text, base64_form::standard, true), padded);
    EXPECT_EQ(encoded(text, base64_form::standard, false), bare);
    EXPECT_EQ(decoded(padded, base64_form::standard), text);
    EXPECT_EQ(decoded(bare, base64_form::standard), text);
  }
}

TEST(base64, has_another_alphabet_for_urls) {
  EXPECT_EQ(encoded("\xfb\xff\xfe", base64_form::standard, true), "+//+");
  EXPECT_EQ(encoded("\xfb\xff\xfe", base64_form::url, false), "-__-");
  EXPECT_EQ(decoded("-__-", base64_form::url), "\xfb\xff\xfe");
  EXPECT_EQ(decoded("-__-", base64_form::standard), "none");
}

TEST(base64, refuses_what_no_encoder_writes) {
  EXPECT_EQ(decoded("Z", base64_form::standard), "none");
  EXPECT_EQ(decoded("Zm9vY", base64_form::standard), "none");
  EXPECT_EQ(decoded("Zm 9v", base64_form::standard), "none");
  EXPECT_EQ(decoded("Zm9v====", base64_form::standard), "foo");
}

TEST(base64, skips_foreign_bytes_in_mime) {
  EXPECT_EQ(decoded("Zm9v\r\nYmFy", base64_form::mime), "foobar");
  EXPECT_EQ(decoded("*Z*g*", base64_form::mime), "f");
  EXPECT_EQ(decoded("***Z", base64_form::mime), "none");
}

}  // namespace
}  // namespace troupe::net
