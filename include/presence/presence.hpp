/// All an embedder needs. Where things are:
///
///   engine.hpp          start here: the calls
///   requests.hpp        what goes in: PUBLISH, SUBSCRIBE, OPTIONS as values
///   effects.hpp         what comes out: reply, NOTIFYs, and how they print
///   options.hpp         settings and limits
///   event_package.hpp   what a package is; packages.hpp: those that come with the library
///   storage.hpp         the storage port; memory_storage.hpp: a storage without a database
///   time.hpp, body.hpp, dialog.hpp, result.hpp, random.hpp   the values they are made of
///   publication.hpp, subscription.hpp, watcher_state.hpp, notify_outcome.hpp, grammar.hpp, uri.hpp
///                       the rules, as pure functions
///   sharded_engine.hpp  several engines behind one thread-safe front; to be included by itself
///   state_table.hpp, subscription_table.hpp, timer_wheel.hpp   the memory, usable on its own
#pragma once

#include <presence/effects.hpp>
#include <presence/engine.hpp>
#include <presence/event_package.hpp>
#include <presence/options.hpp>
#include <presence/packages.hpp>
#include <presence/random.hpp>
#include <presence/requests.hpp>
#include <presence/result.hpp>
#include <presence/rules.hpp>
#include <presence/storage.hpp>
#include <presence/time.hpp>
#include <presence/uri.hpp>
