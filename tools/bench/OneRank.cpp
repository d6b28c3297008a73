//===- OneRank.cpp - Time of one rank's planning, alone -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// fusco-one-rank runs the dispatch of rank 0 of a library and times it, where
/// there are far more ranks than this machine has cores. It plays the others'
/// part of what ranks do together: writes their headers, with counts of their
/// own, and their arrivals into rank 0's heap, from another core. All that rank
/// 0 does is real: it runs the library's own program in the library's own
/// runtime, and has the heap of each other rank, and room for its rows, to
/// write to. Where hidden is 1, that is planning and little else.
///
/// What a header holds is learnt from the one that rank 0 writes itself; where
/// headers and counters lie is in the report of fusco-compile.
//
//===----------------------------------------------------------------------===//
#include "runtime/context.h"
#include "tools/common/CommandLine.h"
#include "tools/common/Error.h"
#include "tools/common/Output.h"
#include "tools/run/Timing.h"

#include <boost/program_options.hpp>
#include <dlfcn.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <thread>

namespace po = boost::program_options;
using namespace fusco;
using run::Quartiles;
using run::Span;
using Json = nlohmann::ordered_json;

namespace {

constexpr uint64_t learningTimeoutUs = 1, timeoutUs = 10000000;

struct Options {
  std::string library, report;
  int64_t tokens = 0, iterations = 0;
  uint64_t seed = 1;
};

/// The entry points of the runtime inside a library.
struct Runtime {
  explicit Runtime(const std::string &path)
      : handle(dlopen(std::filesystem::absolute(path).c_str(),
                      RTLD_NOW | RTLD_LOCAL)) {
    if (!handle)
      throw Error(fmt::format("cannot open library: {}", dlerror()));
    library = take<fusco_library_get_fn>("fusco_library_get")();
    const fusco_library_info &info = *library->info;
    if (info.magic != FUSCO_LIBRARY_MAGIC ||
        info.abiVersion != FUSCO_ABI_VERSION || info.size != sizeof info)
      throw Error(fmt::format("expected a library of ABI version {}, got '{}'; "
                              "compile it anew",
                              FUSCO_ABI_VERSION, path));
    if (library->device || info.numNodes != 1 || info.hasTable ||
        info.isRankMajor || info.capacityRows)
      throw Error(fmt::format("expected a library for 'cpu' with one node, "
                              "experts in blocks and expert-major rows, got "
                              "'{}'",
                              path));
  }

  template <typename Function> Function take(const char *name) const {
    void *symbol = dlsym(handle, name);
    if (!symbol)
      throw Error(fmt::format("the library lacks '{}'", name));
    return reinterpret_cast<Function>(symbol);
  }
  /// Throws the library's own text unless \p status is FUSCO_OK.
  void check(fusco_status status) const {
    if (status != FUSCO_OK)
      throw Error(take<decltype(&fusco_last_error)>("fusco_last_error")());
  }

  void *handle;
  const fusco_library *library;
};
#define TAKE(runtime, function) (runtime).take<decltype(&function)>(#function)

/// Where ranks meet, by the report.
struct Meeting {
  int64_t arrivals = 0;     ///< of rank 0's first lane, in its heap
  int64_t bytesPerLane = 0; ///< first a counter for each slot
  uint64_t *counter(char *heap, int64_t lane, int64_t slot) const {
    return reinterpret_cast<uint64_t *>(heap + arrivals + lane * bytesPerLane +
                                        slot * FUSCO_ALIGNMENT);
  }
};

struct Layout {
  int64_t headers = 0; ///< [2, ranks, headerWords] i32
  int64_t headerWords = 0;
  Meeting exchange, done;
};

Layout readLayout(const std::string &path, int64_t ranks) {
  std::ifstream file(path);
  if (!file)
    throw Error(fmt::format("cannot open '{}'", path));
  Layout layout;
  try {
    const Json report = Json::parse(file);
    for (const Json &buffer : report.at("memory").at("buffers")) {
      const std::string name = buffer.at("name");
      const int64_t at = buffer.at("at"), bytes = buffer.at("bytes");
      if (name == "dispatch_headers") {
        layout.headers = at;
        layout.headerWords = bytes / (2 * ranks * int64_t(sizeof(int32_t)));
      }
      for (auto [channel, meeting] :
           {std::pair("counts_exchanged", &layout.exchange),
            std::pair("rows_done", &layout.done)})
        if (name == channel)
          *meeting = {at, bytes / int64_t(buffer.at("lanes"))};
    }
  } catch (const nlohmann::json::exception &) {
    throw Error(
        fmt::format("expected a report of fusco-compile, got '{}'", path));
  }
  if (!layout.headerWords || !layout.exchange.bytesPerLane ||
      !layout.done.bytesPerLane)
    throw Error(fmt::format("'{}' lacks the buffers that ranks meet in", path));
  return layout;
}

/// Memory that takes room only where it is written.
char *reserve(int64_t bytes) {
  void *memory =
      mmap(nullptr, size_t(std::max<int64_t>(bytes, 1)), PROT_READ | PROT_WRITE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    throw std::bad_alloc();
  return static_cast<char *>(memory);
}

/// Each token's experts, all different.
std::vector<int32_t> drawIds(const fusco_library_info &info, int64_t tokens,
                             uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<int32_t> experts(size_t(info.numExperts)), ids;
  std::iota(experts.begin(), experts.end(), 0);
  for (int64_t token = 0; token != tokens; ++token)
    for (size_t k = 0; k != size_t(info.topk); ++k) {
      std::uniform_int_distribution<size_t> other(k, experts.size() - 1);
      std::swap(experts[k], experts[other(random)]);
      ids.push_back(experts[k]);
    }
  return ids;
}

/// What each rank has for each expert: others route as rank 0 does, to other
/// experts.
class Counts {
public:
  Counts(const std::vector<int32_t> &ids, int64_t experts)
      : own(size_t(experts)) {
    for (int32_t id : ids)
      ++own[size_t(id)];
  }
  int32_t of(int64_t rank, size_t expert) const {
    return own[(expert + size_t(rank)) % own.size()];
  }
  /// Rows of the experts [begin, end).
  int64_t rows(int64_t ranks, size_t begin, size_t end) const {
    int64_t sum = 0;
    for (size_t expert = begin; expert != end; ++expert)
      for (int64_t rank = 0; rank != ranks; ++rank)
        sum += of(rank, expert);
    return sum;
  }

private:
  std::vector<int32_t> own;
};

void pinTo(bool isFirst) {
  cpu_set_t allowed, one;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
    return;
  CPU_ZERO(&one);
  for (int core = 0; core != CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &allowed)) {
      CPU_ZERO(&one);
      CPU_SET(core, &one);
      if (isFirst)
        break;
    }
  sched_setaffinity(0, sizeof one, &one);
}

/// Rank 0 with all that a dispatch needs, in a domain of its own.
class RankZero {
public:
  RankZero(const Runtime &runtime, int64_t tokens, int64_t room,
           uint64_t timeoutUs, const std::vector<int32_t> &ids)
      : runtime(runtime) {
    const fusco_library_info &info = *runtime.library->info;
    while (program != info.numPrograms &&
           std::strcmp(info.programs[program].name, "dispatch") != 0)
      ++program;
    if (program == info.numPrograms)
      throw Error("the library has no program 'dispatch'");
    runtime.check(TAKE(runtime, fusco_domain_create)(runtime.library, &domain));
    // Rank 0 touches little of each: a huge page for that would be gigabytes in
    // all, and heaps of processes have none either.
    for (int32_t peer = 1; peer != domain->numRanks; ++peer)
      madvise(domain->bases[peer], info.symmetricBytes, MADV_NOHUGEPAGE);
    fusco_context_config config = FUSCO_CONTEXT_CONFIG_INIT;
    config.timeoutUs = timeoutUs;
    runtime.check(TAKE(runtime, fusco_context_create)(runtime.library, domain,
                                                      0, &config, &context));
    runtime.check(TAKE(runtime, fusco_plan_create)(context, &plan));
    const fusco_program_info &dispatch = info.programs[program];
    for (int32_t i = 0; i != dispatch.numTensors; ++i) {
      const fusco_tensor_spec &spec = dispatch.tensors[i];
      const int64_t rows = spec.rowsKind == FUSCO_ROWS_EXPERT ? room : tokens;
      DLManagedTensor *tensor = nullptr;
      runtime.check(TAKE(runtime, fusco_tensor_create_for)(
          context, "dispatch", spec.name, rows, &tensor));
      owned.push_back(tensor);
      tensors.push_back(&tensor->dl_tensor);
      if (std::string(spec.name) == "ids") {
        if (spec.dtypeBits != 32)
          throw Error("expected a library with ids of 32 bits");
        std::copy(ids.begin(), ids.end(), static_cast<int32_t *>(data(i)));
      }
    }
  }

  RankZero(const RankZero &) = delete;
  RankZero &operator=(const RankZero &) = delete;
  ~RankZero() {
    for (DLManagedTensor *tensor : owned)
      tensor->deleter(tensor);
    TAKE(runtime, fusco_plan_destroy)(plan);
    TAKE(runtime, fusco_context_destroy)(context);
    TAKE(runtime, fusco_domain_destroy)(domain);
  }

  /// One dispatch; the time of it.
  Span dispatch(fusco_status &status) {
    Span span;
    span.startUs = run::nowUs();
    status = program_run(runtime.library, program, context, plan,
                         tensors.data(), nullptr);
    span.endUs = run::nowUs();
    return span;
  }

  void *data(int32_t tensor) const {
    return static_cast<char *>(tensors[size_t(tensor)]->data) +
           tensors[size_t(tensor)]->byte_offset;
  }
  /// Data of the dispatch's tensor \p name.
  char *data(const char *name) const {
    const fusco_program_info &info = runtime.library->info->programs[program];
    for (int32_t i = 0; i != info.numTensors; ++i)
      if (std::strcmp(info.tensors[i].name, name) == 0)
        return static_cast<char *>(data(i));
    throw Error(fmt::format("the dispatch has no tensor '{}'", name));
  }
  char *heapOf(int64_t rank) const { return context->domain->bases[rank]; }

private:
  const Runtime &runtime;
  decltype(&fusco_program_run) program_run = TAKE(runtime, fusco_program_run);
  int32_t program = 0;
  fusco_domain *domain = nullptr;
  fusco_context *context = nullptr;
  fusco_plan *plan = nullptr;
  std::vector<DLManagedTensor *> owned;
  std::vector<const DLTensor *> tensors;
};

using HeaderWords = std::vector<int32_t>;

/// The header that rank 0 writes into its own heap before it misses its peers,
/// with zeros for where its rows are; and which word says that (two words).
std::pair<HeaderWords, size_t> learnHeader(const Runtime &runtime,
                                           const Layout &layout, int64_t tokens,
                                           int64_t room,
                                           const std::vector<int32_t> &ids) {
  RankZero rank(runtime, tokens, room, learningTimeoutUs, ids);
  fusco_status status = FUSCO_OK;
  rank.dispatch(status);
  if (status != FUSCO_TIMEOUT)
    runtime.check(status == FUSCO_OK ? FUSCO_BAD_STATE : status);
  char *const heap = rank.heapOf(0);
  HeaderWords words(size_t(layout.headerWords));
  std::memcpy(words.data(), heap + layout.headers, 4 * words.size());
  const int64_t window = rank.data("rows") - heap;
  for (size_t word = 0; word + 1 < words.size(); word += 2)
    if (std::memcmp(&words[word], &window, sizeof window) == 0)
      return {words, word};
  throw Error("rank 0's header does not say where its rows are");
}

/// What the ranks but rank 0 do.
class Peers {
public:
  Peers(const Layout &layout, int64_t ranks, std::vector<HeaderWords> headers)
      : layout(layout), ranks(ranks), headers(std::move(headers)) {}

  /// Their part of dispatch number \p round, counted from 0.
  void play(char *heap, int64_t round) const {
    const int64_t turn = round % 2;
    for (int64_t rank = 1; rank != ranks; ++rank) {
      const HeaderWords &header = headers[size_t(rank)];
      std::memcpy(heap + layout.headers +
                      4 * layout.headerWords * (turn * ranks + rank),
                  header.data(), 4 * header.size());
      __atomic_store_n(layout.exchange.counter(heap, rank, turn),
                       uint64_t(round / 2 + 1), __ATOMIC_RELEASE);
      __atomic_store_n(layout.done.counter(heap, rank, 0), uint64_t(round + 1),
                       __ATOMIC_RELEASE);
    }
  }

private:
  const Layout &layout;
  int64_t ranks;
  std::vector<HeaderWords> headers;
};

/// The experts that a rank holds, in blocks.
std::pair<size_t, size_t> expertsOf(int64_t rank, int64_t ranks,
                                    int64_t experts) {
  const int64_t least = experts / ranks, larger = experts % ranks;
  const int64_t begin = rank * least + std::min(rank, larger);
  return {size_t(begin), size_t(begin + least + (rank < larger))};
}

Json timeOneRank(const Options &options) {
  const Runtime runtime(options.library);
  const fusco_library_info &info = *runtime.library->info;
  const int64_t ranks = info.ranksPerNode, tokens = options.tokens;
  if (tokens > info.maxTokens)
    throw Error(fmt::format("--tokens {} are more than the {} that the library "
                            "was compiled for",
                            tokens, info.maxTokens));
  const Layout layout = readLayout(options.report, ranks);
  const std::vector<int32_t> ids = drawIds(info, tokens, options.seed);
  const Counts counts(ids, info.numExperts);
  int64_t room = 1;
  for (int64_t rank = 0; rank != ranks; ++rank) {
    const auto [begin, end] = expertsOf(rank, ranks, info.numExperts);
    // Each segment may begin with a pad.
    room = std::max(room, counts.rows(ranks, begin, end) +
                              int64_t(end - begin) * info.alignRows);
  }

  const auto [own, windowWord] =
      learnHeader(runtime, layout, tokens, room, ids);
  RankZero rank(runtime, tokens, room, timeoutUs, ids);
  const int64_t bytesPerRank = room * info.hidden * info.dtypeBits / 8;
  char *const peerRows = reserve(ranks * bytesPerRank);
  std::vector<HeaderWords> headers(size_t(ranks), own);
  for (int64_t peer = 1; peer != ranks; ++peer) {
    HeaderWords &header = headers[size_t(peer)];
    const int64_t window = peerRows + peer * bytesPerRank - rank.heapOf(peer);
    std::memcpy(&header[windowWord], &window, sizeof window);
    const size_t first = header.size() - size_t(info.numExperts);
    for (size_t expert = 0; expert != size_t(info.numExperts); ++expert)
      header[first + expert] = counts.of(peer, expert);
  }
  const Peers peers(layout, ranks, std::move(headers));

  constexpr int64_t numWarmups = 4;
  std::vector<Span> spans;
  pinTo(/*isFirst=*/true);
  for (int64_t round = 0; round != numWarmups + options.iterations; ++round) {
    // What peers write comes out of another core's cache.
    std::thread([&] {
      pinTo(/*isFirst=*/false);
      peers.play(rank.heapOf(0), round);
    }).join();
    fusco_status status = FUSCO_OK;
    const Span span = rank.dispatch(status);
    runtime.check(status);
    if (round >= numWarmups)
      spans.push_back(span);
  }

  // Played wrongly, this would show.
  const auto [begin, end] = expertsOf(0, ranks, info.numExperts);
  const auto *got = reinterpret_cast<const int32_t *>(rank.data("counts"));
  for (size_t expert = begin; expert != end; ++expert)
    if (const int64_t expected = counts.rows(ranks, expert, expert + 1);
        got[expert - begin] != expected)
      throw Error(fmt::format("expert {} should have {} rows, got {}", expert,
                              expected, got[expert - begin]));
  const Quartiles us = run::quartilesUs(spans, spans.size());
  return {{"ranks", ranks},
          {"experts", info.numExperts},
          {"topk", info.topk},
          {"hidden", info.hidden},
          {"tokens", tokens},
          {"iterations", options.iterations},
          {"median_us", us.median},
          {"quartiles_us", Json::array({us.first, us.third})}};
}

Options parseOptions(int argc, char **argv, bool &isDone) {
  Options options;
  po::options_description flags("options");
  auto add = flags.add_options();
  add("report", po::value(&options.report)->value_name("R.json")->required(),
      "what fusco-compile --report wrote with the library");
  add("tokens", po::value(&options.tokens)->value_name("T")->required(),
      "tokens of each rank");
  add("iterations",
      po::value(&options.iterations)->value_name("N")->default_value(101),
      "timed dispatches");
  add("seed", po::value(&options.seed)->value_name("N")->default_value(1),
      "of the routing that is drawn");
  const auto given = parseCommandLine(
      argc, argv,
      {"fusco-one-rank",
       "usage: fusco-one-rank LIB.so --report R.json --tokens T [options]\n\n"
       "Times the dispatch of rank 0 of a library with one node, alone: all "
       "other ranks'\npart of it is played. Prints JSON. fusco-bench growth "
       "uses it.\n\n",
       flags, "library", options.library});
  isDone = !given;
  if (given && options.library.empty())
    throw UsageError("expected a library: fusco-one-rank LIB.so --report "
                     "R.json --tokens T; see fusco-one-rank --help");
  if (given && (options.tokens < 1 || options.iterations < 1))
    throw UsageError("--tokens and --iterations must be at least 1");
  return options;
}

int fail(const std::string &text, int code) {
  printToStderr("fusco-one-rank: error: " + text);
  return code;
}

} // namespace

int main(int argc, char **argv) {
  prepareProcess();
  try {
    bool isDone = false;
    const Options options = parseOptions(argc, argv, isDone);
    if (!isDone)
      printToStdout(timeOneRank(options).dump() + "\n");
    return 0;
  } catch (const UsageError &error) {
    return fail(error.what(), 2);
  } catch (const std::bad_alloc &) {
    return fail("not enough memory; lower --tokens", 1);
  } catch (const std::exception &error) {
    return fail(error.what(), 1);
  }
}
