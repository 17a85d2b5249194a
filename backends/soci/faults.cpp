#include "faults.hpp"

#include <soci/soci.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <system_error>

#include "dialect.hpp"

namespace presence::sql {

namespace {

complaint complaint_of(const soci::soci_error& e) {
  switch (e.get_error_category()) {
    case soci::soci_error::connection_error:
      return complaint::connection;
    case soci::soci_error::invalid_statement:
      return complaint::statement;
    case soci::soci_error::constraint_violation:
      return complaint::constraint;
    default:
      return complaint::other;
  }
}

}  // namespace

storage_error caught(const target& to, bool connected) {
  const dialect& speaks = *to.speaks;
  try {
    throw;
  } catch (const soci::soci_error& e) {
    std::string message = e.get_error_message();
    if (const auto own = message.find(" Fatal error. "); own != message.npos) message.erase(0, own + 14);
    if (message.find("shared library") != message.npos) {
      return {storage_fault::unavailable, "SOCI cannot load its backend '" + std::string{speaks.backend} +
                                              "': install the Debian package " + std::string{speaks.package}};
    }
    const storage_fault which = speaks.fault(complaint_of(e), message);
    if (which == storage_fault::conflict) return {which, "a row to insert is there already"};
    if (connected) {
      for (const std::string_view end : {"\n", " to use near", ": '", ": \""})  // what follows may be a value
        message.resize(std::min(message.find(end), message.size()));
    }
    std::replace_if(
        message.begin(), message.end(), [](unsigned char c) { return c < 0x20; }, ' ');
    message.resize(message.find_last_not_of(' ') + 1);
    if (connected) return {which, message};
    return {which,
            "cannot open " + to.place + ": " + message + "; check " +
                (to.file.empty() ? "that the server runs, and server, user, password and database in db_url"
                                 : "that the file's directory exists and may be written")};
  } catch (const std::exception& e) {
    return {storage_fault::unavailable, e.what()};
  } catch (...) {
    return {storage_fault::unavailable, "unknown exception"};
  }
}

outcome file_must_exist(const target& to) {
  std::error_code error;
  if (to.file.empty() || std::filesystem::exists(to.file, error)) return {};
  if (error) return fault(storage_fault::unavailable, "cannot look at database file '" + to.file + "': " + error.message());
  return fault(
      storage_fault::unavailable,
      "database file '" + to.file +
          "' does not exist: run `presence-db create` or call create_schema() once before the first start");
}

}  // namespace presence::sql
