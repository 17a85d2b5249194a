/// The log of --verbose: one line for each message, on stderr.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>

inline void log_line(std::string_view arrow, std::string_view peer, std::string_view what) {
  const auto t = std::chrono::system_clock::now().time_since_epoch() / std::chrono::milliseconds{1} % 86400000;
  std::string line = std::string{arrow}.append(" ").append(peer).append(" ").append(what).substr(0, 400);
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  std::fprintf(stderr, "%02d:%02d:%02d.%03d %s\n", static_cast<int>(t / 3600000), static_cast<int>(t / 60000 % 60),
               static_cast<int>(t / 1000 % 60), static_cast<int>(t % 1000), line.c_str());
}

/// The text of a document without its markup, shortened.
inline std::string gist(std::string_view bytes) {
  std::string out;
  bool markup = false;
  for (const char c : bytes.substr(0, 4096)) {
    if (c == '<') markup = true;
    const bool plain = !markup && c > ' ' && c < 127;
    if (plain) out += c;
    if (!plain && !out.empty() && out.back() != ' ') out += ' ';
    if (c == '>') markup = false;
    if (out.size() >= 60) break;
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out.empty() ? out : " [" + out + "]";
}
