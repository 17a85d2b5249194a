/// The command line of presence-server. Nothing of SIP or of the library's workings in here.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <presence/options.hpp>
#include <string>
#include <string_view>
#include <vector>

struct command_line {
  std::vector<std::string> listen = {};   ///< as `sip:127.0.0.1:5060;transport=udp`
  std::vector<std::string> domains = {};  ///< empty: every domain is ours
  presence::options settings = {};
  std::string rules_dir = {};             ///< presence rules, one document per user; empty: everybody may watch
  std::string id_secret = {};             ///< presence_options::id_secret
  bool trust_from = false;
  std::string trace = {};    ///< a file for what memory is asked for; empty: none
  bool direct_notify = true;  ///< past the SIP stack where that is possible
  unsigned timer_f = 32000;  ///< milliseconds until a NOTIFY counts as unanswered
  bool verbose = false;
};

inline constexpr const char* usage =
    R"(usage: presence-server --listen udp:ADDRESS:PORT [--listen tcp:ADDRESS:PORT]... [option]...

A presence server for SIP: it takes PUBLISH, SUBSCRIBE and OPTIONS, and sends NOTIFY.
It prints "ready" when it listens; SIGTERM and SIGINT end it.

  --listen T:ADDRESS:PORT  where to listen; T is udp or tcp; may be given several times
  --db-url URL             keep everything in this database, e.g. sqlite:///var/lib/presence.db;
                           without it everything is in memory and gone at the end
  --set NAME=VALUE         an engine option, e.g. max_expires=7200; see below
  --domain HOST            serve resources of this host only (404 for others); may be repeated
  --rules-dir DIR          presence rules (RFC 5025): DIR/user@host.xml says who may watch that user's
                           presence and what he sees; who has no file is asked first (pending).
                           SIGHUP has them read again. Without this option everybody may watch
  --id-secret TEXT         what ids that rules make up are made with, so that they outlive a restart
  --force-active           let every watcher in, whatever rules say (the option force_active)
  --trust-from             believe the From header: its URI counts as proven. There is no digest in
                           this example. For closed networks and tests only
  --trace FILE             write which state each request used, as cache_sim --replay reads it; a state is
                           named by a number that only this run of the server could tell
  --timer-f MS             give a NOTIFY up after this time without an answer (default 32000)
  --notify-by-stack        send every NOTIFY by the SIP stack. Without this option those to UDP addresses in
                           numbers go past it, from the first UDP port of --listen, at a third of the price
  -v, --verbose            log each message as one line on stderr
  --help                   this text
)";

/// Reads the command line, or says on stderr what is wrong with it and ends the program.
inline command_line parse_command_line(int argc, char** argv) {
  command_line line;
  const auto fail = [](const std::string& why) {
    std::fprintf(stderr, "presence-server: %s (--help lists the options)\n", why.c_str());
    std::exit(2);
  };
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    const auto argument = [&]() -> std::string {
      if (i + 1 >= argc) fail(std::string{option} + " wants a value");
      return argv[++i];
    };
    const auto set = [&](std::string_view name, std::string_view value) {
      if (auto done = line.settings.set(name, value); !done) fail(done.error());
    };
    if (option == "--listen") {
      const std::string where = argument();
      const std::string transport = where.substr(0, where.find(':'));
      if ((transport != "udp" && transport != "tcp") || where.size() <= 4) {
        fail("--listen wants udp:ADDRESS:PORT or tcp:ADDRESS:PORT, not " + where);
      }
      line.listen.push_back("sip:" + where.substr(4) + ";transport=" + transport);
    } else if (option == "--db-url") {
      set("db_url", argument());
    } else if (option == "--set") {
      const std::string pair = argument();
      const auto equals = pair.find('=');
      if (equals == std::string::npos) fail("--set wants NAME=VALUE, not " + pair);
      set(std::string_view{pair}.substr(0, equals), std::string_view{pair}.substr(equals + 1));
    } else if (option == "--domain") {
      line.domains.push_back(argument());  // host names have no case; the engine's are in lower case
      for (char& c : line.domains.back())
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    } else if (option == "--rules-dir") {
      line.rules_dir = argument();
      if (!std::filesystem::is_directory(line.rules_dir)) fail("--rules-dir: no directory " + line.rules_dir);
    } else if (option == "--id-secret") {
      line.id_secret = argument();
      if (line.id_secret.size() < 16) fail("--id-secret wants 16 characters or more that nobody can guess");
    } else if (option == "--force-active") {
      set("force_active", "1");
    } else if (option == "--trust-from") {
      line.trust_from = true;
    } else if (option == "--trace") {
      line.trace = argument();
    } else if (option == "--timer-f") {
      const std::string text = argument();
      char* end = nullptr;
      const unsigned long ms = std::strtoul(text.c_str(), &end, 10);
      if (*end != '\0' || ms < 100 || ms > 600000) fail("--timer-f wants 100 to 600000 milliseconds");
      line.timer_f = static_cast<unsigned>(ms);
    } else if (option == "--notify-by-stack") {
      line.direct_notify = false;
    } else if (option == "-v" || option == "--verbose") {
      line.verbose = true;
    } else if (option == "--help" || option == "-h") {
      std::fputs(usage, stdout);
      std::fputs("\nengine options and their values:\n", stdout);
      for (const std::string_view name : presence::options::names()) {
        const auto value = line.settings.get(name);
        std::printf("  %.*s=%s\n", static_cast<int>(name.size()), name.data(), value ? value->c_str() : "");
      }
      std::exit(0);
    } else {
      fail("unknown option " + std::string{option});
    }
  }
  if (line.listen.empty()) fail("give at least one --listen, e.g. --listen udp:127.0.0.1:5060");
  if (auto sound = line.settings.check(); !sound) fail(sound.error());
  return line;
}
