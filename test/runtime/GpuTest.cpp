//===- GpuTest.cpp - Libraries for GPUs -----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// What the runtime asks of the CUDA driver and makes of its answers, without a
/// GPU: the driver is a fake one, kernels are functions of the test.
//
//===----------------------------------------------------------------------===//

#include "FakeCuda.h"
#include "RankGroup.h"
#include "runtime/cuda/driver.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <gtest/gtest.h>

using namespace fusco::test;

namespace {
/// The fake library, compiled for GPUs.
struct GpuLibrary : FakeLibrary {
  explicit GpuLibrary(std::int32_t numRanks) : FakeLibrary(numRanks) {
    std::strcpy(info.target, "sm_90");
    info.maxBlocks = 16;
    for (fusco_program_info &program : info.programs)
      program.threadsPerBlock = 512;
    info.programs[Dispatch].sharedBytes = 100000;
    library.device = &code;
    library.programs[Dispatch] = library.programs[Combine] = nullptr;
  }
  fusco_device_code code = {"ptx", "cubin", 6};
};

class GpuTest : public testing::Test {
protected:
  GpuTest() : cuda(open()) { cuda = {}; }
  ~GpuTest() override { EXPECT_EQ(cuda.numAlive, 0); }

  static FakeCuda &open() {
    setenv("FUSCO_LIBCUDA", FUSCO_FAKE_CUDA, 1);
    void *object = dlopen(FUSCO_FAKE_CUDA, RTLD_NOW | RTLD_LOCAL);
    return *static_cast<FakeCuda *>(dlsym(object, "fakeCuda"));
  }

  void expectNoDomain(const GpuLibrary &library, fusco_status status,
                      const char *text) {
    fusco_domain *domain = nullptr;
    EXPECT_EQ(fusco_domain_create(&library.library, &domain), status);
    EXPECT_EQ(domain, nullptr);
    EXPECT_STREQ(fusco_last_error(), text);
  }

  FakeCuda &cuda;
};

/// Two ranks on the fake GPU, with tensors for either program.
class GpuRanksTest : public GpuTest {
protected:
  GpuRanksTest() {
    EXPECT_EQ(fusco_domain_create(&fake.library, &domain), FUSCO_OK)
        << fusco_last_error();
    for (std::int32_t rank = 0; rank < 2; ++rank)
      EXPECT_EQ(fusco_context_create(&fake.library, domain, rank, nullptr,
                                     &contexts[rank]),
                FUSCO_OK);
    EXPECT_EQ(fusco_plan_create(contexts[1], &plan), FUSCO_OK);
    for (const char *name : {"x", "ids", "rows", "counts"})
      tensors.push_back(makeFor("dispatch", name, 5));
    y = makeFor("combine", "y", 5);
  }
  ~GpuRanksTest() override {
    tensors.clear();
    y.reset();
    fusco_plan_destroy(plan);
    for (fusco_context *context : contexts)
      fusco_context_destroy(context);
    fusco_domain_destroy(domain);
  }

  Tensor makeFor(const char *program, const char *name, std::int64_t rows) {
    DLManagedTensor *made = nullptr;
    EXPECT_EQ(fusco_tensor_create_for(contexts[1], program, name, rows, &made),
              FUSCO_OK);
    return Tensor(made);
  }

  Outcome run(Program program, void *stream = nullptr) {
    std::vector<const DLTensor *> views;
    if (program == Dispatch)
      for (const Tensor &tensor : tensors)
        views.push_back(&tensor->dl_tensor);
    else
      views = {&tensors[RowsOut]->dl_tensor, &y->dl_tensor};
    return makeOutcome(fusco_program_run(&fake.library, program, contexts[1],
                                         plan, views.data(), stream));
  }
  Outcome synchronize(int rank = 1) {
    return makeOutcome(fusco_context_synchronize(contexts[rank], nullptr));
  }
  /// Lets the next kernels leave \p error.
  void leaveError(const fusco_device_error &error) {
    cuda.onLaunch = [error](const Launch &launch) {
      *launch.args.error = error;
    };
  }

  GpuLibrary fake{2};
  fusco_domain *domain = nullptr;
  fusco_context *contexts[2] = {};
  fusco_plan *plan = nullptr;
  std::vector<Tensor> tensors;
  Tensor y;
};
using GpuDeathTest = GpuTest;
} // namespace

//===--- Machines ---------------------------------------------------------===//

TEST_F(GpuDeathTest, WithoutADriver) {
  testing::FLAGS_gtest_death_test_style = "threadsafe"; // a driver stays open
  auto create = [](const char *file) {
    if (file)
      setenv("FUSCO_LIBCUDA", file, 1);
    else
      unsetenv("FUSCO_LIBCUDA");
    GpuLibrary fake(2);
    fusco_domain *domain;
    fusco_status status = fusco_domain_create(&fake.library, &domain);
    std::fprintf(stderr, "%s", fusco_last_error());
    std::exit(status);
  };
  EXPECT_EXIT(create("/none/libcuda.so"),
              testing::ExitedWithCode(FUSCO_UNSUPPORTED),
              "^model 'm' was compiled for GPUs \\(sm_90\\), and there is none "
              "here: cannot open /none/libcuda.so: ");
  EXPECT_EXIT(create("libm.so.6"), testing::ExitedWithCode(FUSCO_UNSUPPORTED),
              "libm.so.6 lacks cuInit; update the GPU's driver");
  if (dlopen("libcuda.so.1", RTLD_LAZY))
    return; // there is one here
  EXPECT_EXIT(create(nullptr), testing::ExitedWithCode(FUSCO_UNSUPPORTED),
              "here: cannot open libcuda.so.1$");
}

TEST_F(GpuDeathTest, WhoseDriverDoesNotStart) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  auto create = [&] {
    cuda.initResult = 100;
    GpuLibrary fake(2);
    fusco_domain *domain;
    fusco_status status = fusco_domain_create(&fake.library, &domain);
    std::fprintf(stderr, "%s", fusco_last_error());
    std::exit(status);
  };
  EXPECT_EXIT(create(), testing::ExitedWithCode(FUSCO_UNSUPPORTED),
              "here: starting the driver failed: CUDA_ERROR_100 ");
}

TEST_F(GpuTest, WithoutAGpu) {
  cuda.numDevices = 0;
  expectNoDomain(GpuLibrary(2), FUSCO_UNSUPPORTED,
                 "model 'm' was compiled for GPUs (sm_90), and there is none "
                 "here: the driver finds no GPU");
}

TEST_F(GpuTest, OfAnOlderGeneration) {
  cuda.major = 8;
  cuda.minor = 9;
  expectNoDomain(GpuLibrary(2), FUSCO_UNSUPPORTED,
                 "model 'm' was compiled for GPUs of compute capability 9.0 or "
                 "newer (sm_90), GPU 0 has 8.9");
}

TEST_F(GpuTest, WithFewerMultiprocessorsThanRanks) {
  cuda.numMultiprocessors = 7;
  expectNoDomain(GpuLibrary(8), FUSCO_UNSUPPORTED,
                 "model 'm' needs a multiprocessor for each of its 8 ranks, "
                 "GPU 0 has 7");
}

//===--- Timelines --------------------------------------------------------===//

TEST_F(GpuTest, TakesTheEventsOfAllBlocks) {
  cuda.numMultiprocessors = 2;
  GpuLibrary fake(1);
  fake.info.numSpans = 1;
  fusco_domain *domain = nullptr;
  ASSERT_EQ(fusco_domain_create(&fake.library, &domain), FUSCO_OK);
  fusco_context *context = nullptr;
  ASSERT_EQ(fusco_context_create(&fake.library, domain, 0, nullptr, &context),
            FUSCO_OK);
  fusco_timeline *timelines = nullptr;
  cuda.onLaunch = [&](const Launch &launch) {
    timelines = launch.args.control->timelines;
  };
  fusco_plan *plan = nullptr;
  ASSERT_EQ(fusco_plan_create(context, &plan), FUSCO_OK);
  // Refused, but launched.
  const DLTensor *const tensors[4] = {};
  fusco_program_run(&fake.library, Dispatch, context, plan, tensors, nullptr);
  ASSERT_NE(timelines, nullptr);
  for (std::int16_t block : {0, 1}) {
    timelines[block].events[0] = {5, 6, 0, block, 0};
    timelines[block].events[1] = {7, 8, 0, block, 1};
    timelines[block].numEvents = 1 + block;
    timelines[block].numDropped = 4;
  }
  fusco_event events[3];
  std::uint64_t numEvents = 0, numDropped = 0;
  EXPECT_EQ(
      fusco_context_take_events(context, events, 3, &numEvents, &numDropped),
      FUSCO_OK);
  EXPECT_EQ(numEvents, 3u);
  EXPECT_EQ(numDropped, 8u);
  EXPECT_EQ(events[0].worker, 0);
  EXPECT_EQ(events[1].worker, 1);
  EXPECT_EQ(events[2].timeNs, 7u);
  EXPECT_EQ(events[2].isEnd, 1);
  EXPECT_EQ(timelines[1].numEvents + timelines[1].numDropped, 0u);
  fusco_plan_destroy(plan);
  fusco_context_destroy(context);
  fusco_domain_destroy(domain);
}

//===--- Code -------------------------------------------------------------===//

TEST_F(GpuTest, TakesPtxWhereTheCubinDoesNotFit) {
  for (int result : {0, 200, 209}) {
    cuda.images.clear();
    cuda.cubinResult = result;
    GpuLibrary fake(2);
    fusco_domain *domain = nullptr;
    ASSERT_EQ(fusco_domain_create(&fake.library, &domain), FUSCO_OK);
    fusco_domain_destroy(domain);
    EXPECT_EQ(cuda.images, result ? std::vector<std::string>({"cubin", "ptx"})
                                  : std::vector<std::string>({"cubin"}));
  }
}

TEST_F(GpuTest, TakesPtxAloneWhereThereIsNoCubin) {
  GpuLibrary fake(2);
  fake.code = {"ptx", nullptr, 0};
  fusco_domain *domain = nullptr;
  ASSERT_EQ(fusco_domain_create(&fake.library, &domain), FUSCO_OK);
  fusco_domain_destroy(domain);
  EXPECT_EQ(cuda.images, std::vector<std::string>({"ptx"}));
}

TEST_F(GpuTest, SaysWhyCodeCannotBeLoaded) {
  cuda.cubinResult = 999;
  expectNoDomain(GpuLibrary(2), FUSCO_DEVICE_ERROR,
                 "loading the kernels failed: CUDA_ERROR_999 (as the test "
                 "wants it)");
  EXPECT_EQ(cuda.images.size(), 1u);
  cuda.cubinResult = 209;
  cuda.ptxResult = 218;
  expectNoDomain(GpuLibrary(2), FUSCO_DEVICE_ERROR,
                 "loading the kernels (line 7; no such thing) failed: "
                 "CUDA_ERROR_218 (as the test wants it)");
}

TEST_F(GpuTest, UsesTheHostsContext) {
  fusco::cuda::ErrorText error;
  const fusco::cuda::Driver &driver = *fusco::cuda::getDriver(error);
  auto host = reinterpret_cast<fusco::cuda::CUcontext>(&cuda);
  driver.ctxPushCurrent(host);
  GpuLibrary fake(2);
  fusco_domain *domain = nullptr;
  fusco_context *context = nullptr;
  ASSERT_EQ(fusco_domain_create(&fake.library, &domain), FUSCO_OK);
  ASSERT_EQ(fusco_context_create(&fake.library, domain, 0, nullptr, &context),
            FUSCO_OK);
  Tensor tensor = makeTensor(context, {kDLFloat, 32, 1}, {3});
  EXPECT_EQ(tensor->dl_tensor.device.device_type, kDLCUDA);
  EXPECT_EQ(tensor->dl_tensor.device.device_id, 3); // as cuCtxGetDevice says
  EXPECT_EQ(fusco_domain_device(domain).device_type, kDLCUDA);
  EXPECT_EQ(fusco_domain_device(domain).device_id, 3);
  tensor.reset();
  fusco_context_destroy(context);
  fusco_domain_destroy(domain);
  fusco::cuda::CUcontext after = nullptr;
  driver.ctxPopCurrent(&after);
  EXPECT_EQ(after, host);
}

//===--- Launches ---------------------------------------------------------===//

TEST_F(GpuRanksTest, AKernelIsHandedAllThatItNeeds) {
  ASSERT_EQ(run(Dispatch).status, FUSCO_OK) << fusco_last_error();
  ASSERT_EQ(cuda.launches.size(), 1u);
  const Launch &launch = cuda.launches[0];
  EXPECT_EQ(launch.kernel, "dispatch");
  EXPECT_EQ(launch.grid, 16u);
  EXPECT_EQ(launch.block, 512u);
  EXPECT_EQ(launch.sharedBytes, 100000u);
  EXPECT_EQ(cuda.sharedBytes["dispatch"], 100000);
  EXPECT_NE(launch.stream, nullptr);

  const fusco_program_args &args = launch.args.program;
  EXPECT_EQ(args.context, nullptr);
  EXPECT_EQ(args.rank, 1);
  EXPECT_EQ(args.status, FUSCO_OK);
  EXPECT_EQ(args.tensors[X].data, tensors[X]->dl_tensor.data);
  EXPECT_EQ(args.tensors[X].rows, 5);
  ASSERT_NE(args.plan, nullptr);
  for (int i = 0; i < FUSCO_PLAN_TRAILER_BYTES; ++i)
    EXPECT_EQ(args.plan[fake.info.planBytes + i], 0);
  EXPECT_NE(args.peers[0], args.peers[1]);
  EXPECT_EQ(args.peers[1][fake.info.symmetricBytes - 1], 0);
  EXPECT_EQ(launch.args.control->posted, 0u);
  EXPECT_EQ(launch.args.error->status, FUSCO_OK);
  EXPECT_EQ(*launch.args.failedRank, 0);
  EXPECT_EQ(launch.args.timeoutNs, 30000000000);
  EXPECT_EQ(launch.args.networkPeers, args.peers);
  EXPECT_EQ(launch.args.puts, nullptr);
  EXPECT_EQ(synchronize().status, FUSCO_OK);
}

TEST_F(GpuRanksTest, AKernelRunsOnTheStreamThatItIsGiven) {
  int stream;
  ASSERT_EQ(run(Dispatch, &stream).status, FUSCO_OK);
  EXPECT_EQ(cuda.launches[0].stream, &stream);
}

TEST_F(GpuTest, BlocksOfAllRanksFitAtOnce) {
  cuda.numMultiprocessors = 23;
  GpuLibrary fake(4);
  std::strcpy(fake.info.programs[Dispatch].name, "dispatch.unfused");
  fusco_domain *domain = nullptr;
  fusco_context *context = nullptr;
  ASSERT_EQ(fusco_domain_create(&fake.library, &domain), FUSCO_OK);
  ASSERT_EQ(fusco_context_create(&fake.library, domain, 0, nullptr, &context),
            FUSCO_OK);
  fusco_program_run(&fake.library, Dispatch, context, nullptr, nullptr,
                    nullptr);
  EXPECT_EQ(cuda.launches[0].grid, 5u);
  EXPECT_EQ(cuda.launches[0].kernel, "dispatch$unfused");
  fusco_context_destroy(context);
  fusco_domain_destroy(domain);
}

TEST_F(GpuRanksTest, RefusedArgumentsAreLaunchedForThePeers) {
  tensors[X]->dl_tensor.device = {kDLCPU, 0};
  Outcome outcome = run(Dispatch);
  EXPECT_EQ(outcome.status, FUSCO_INVALID_ARGUMENT);
  EXPECT_EQ(outcome.error, "m_dispatch: tensor 'x': expected a tensor in the "
                           "memory of GPU 0, got one in CPU memory");
  ASSERT_EQ(cuda.launches.size(), 1u);
  const fusco_program_args &args = cuda.launches[0].args.program;
  EXPECT_EQ(args.status, FUSCO_INVALID_ARGUMENT);
  EXPECT_EQ(args.plan, nullptr);
  EXPECT_EQ(args.tensors[X].data, nullptr);
  EXPECT_EQ(run(Combine).status, FUSCO_BAD_STATE); // no plan either
}

TEST_F(GpuRanksTest, CombineNeedsTheTokensOfTheDispatch) {
  ASSERT_EQ(run(Dispatch).status, FUSCO_OK);
  EXPECT_EQ(run(Combine).status, FUSCO_OK);
  y = makeFor("combine", "y", 4);
  EXPECT_EQ(run(Combine).error, "m_combine: tensor 'y': expected 5 rows, the "
                                "tokens of the plan, got 4");
}

//===--- Errors -----------------------------------------------------------===//

TEST_F(GpuRanksTest, ErrorsOfKernelsHaveTheTextsOfACpu) {
  fusco_device_error error = {};
  auto expect = [&](fusco_status status, const char *text) {
    leaveError(error);
    EXPECT_EQ(run(Dispatch).status, FUSCO_OK);
    Outcome outcome = synchronize();
    EXPECT_EQ(outcome.status, status);
    EXPECT_EQ(outcome.error, text);
    EXPECT_EQ(synchronize().status, FUSCO_OK); // it was taken
  };
  error.status = FUSCO_INVALID_ROUTING;
  error.a = 3;
  error.b = 16;
  expect(FUSCO_INVALID_ROUTING,
         "m_dispatch: rank 1: ids[1, 1] is 16, expected -1 or 0..15");
  error.status = FUSCO_CAPACITY;
  error.a = 0;
  error.b = 9;
  error.c = 5;
  expect(FUSCO_CAPACITY, "m_dispatch: rank 0 needs 9 rows, its tensor 'rows' "
                         "has room for 5");
  error.status = FUSCO_PEER_FAILED;
  error.b = FUSCO_CAPACITY;
  expect(FUSCO_PEER_FAILED, "m_dispatch: rank 0 failed with FUSCO_CAPACITY; "
                            "this rank moved nothing");
  error.status = FUSCO_BAD_STATE;
  error.program = Combine;
  expect(FUSCO_BAD_STATE, "m_combine: the plan is empty; run a dispatch that "
                          "succeeds into it first");
}

TEST_F(GpuRanksTest, ATimeoutEndsContextAndDomain) {
  fusco_device_error error = {};
  error.status = FUSCO_TIMEOUT;
  error.channel = channelOf(FUSCO_PHASE_ROWS);
  error.peer = 0;
  error.a = 2;
  error.b = 3;
  leaveError(error);
  ASSERT_EQ(run(Dispatch).status, FUSCO_OK);
  const char *text =
      "rank 1: timeout after 30.0 s in phase 'rows', "
      "channel 'c_rows', of m_dispatch: rank 0 is at 2, expected 3";
  Outcome outcome = synchronize();
  EXPECT_EQ(outcome.status, FUSCO_TIMEOUT);
  EXPECT_EQ(outcome.error, text);
  EXPECT_EQ(synchronize().status, FUSCO_BAD_STATE);
  EXPECT_EQ(run(Dispatch).error,
            std::string("m_dispatch: context failed earlier: ") + text);
  fusco_context_destroy(contexts[0]);
  contexts[0] = nullptr;
  EXPECT_EQ(
      fusco_context_create(&fake.library, domain, 0, nullptr, &contexts[0]),
      FUSCO_BAD_STATE);
}

TEST_F(GpuRanksTest, AnAbortedWaitNamesTheRankThatTimedOut) {
  fusco_device_error error = {};
  error.status = FUSCO_PEER_FAILED;
  error.isAborted = 1;
  error.channel = channelOf(FUSCO_PHASE_PLAN);
  error.peer = 0;
  error.a = 2;
  error.b = 3;
  error.c = 1;
  leaveError(error);
  ASSERT_EQ(run(Dispatch).status, FUSCO_OK);
  EXPECT_EQ(synchronize().error,
            "rank 1: gave up in phase 'plan', channel 'c_plan', of m_dispatch "
            "because rank 0 failed with FUSCO_TIMEOUT; rank 1 is at 2, "
            "expected 3");
  EXPECT_EQ(run(Dispatch).status, FUSCO_BAD_STATE);
}

TEST_F(GpuRanksTest, ErrorsOfTheDriverEndTheContext) {
  ASSERT_EQ(run(Dispatch).status, FUSCO_OK);
  cuda.synchronizeResult = 700;
  Outcome outcome = synchronize();
  EXPECT_EQ(outcome.status, FUSCO_DEVICE_ERROR);
  EXPECT_EQ(outcome.error, "m_dispatch: the kernel of rank 1 failed: "
                           "CUDA_ERROR_700 (as the test wants it)");
  cuda.synchronizeResult = 0;
  EXPECT_EQ(run(Dispatch).status, FUSCO_BAD_STATE);
}

TEST_F(GpuRanksTest, ALaunchThatFailsEndsTheContext) {
  cuda.launchResult = 1;
  EXPECT_EQ(run(Dispatch).error,
            "m_dispatch: launching the kernel of rank 1 failed: CUDA_ERROR_1 "
            "(as the test wants it)");
  EXPECT_EQ(run(Dispatch).status, FUSCO_BAD_STATE);
}

//===--- Reading back -----------------------------------------------------===//

TEST_F(GpuRanksTest, PlanInfoIsThereOnceTheKernelHasFilledThePlan) {
  fusco_plan_info info = FUSCO_PLAN_INFO_INIT;
  EXPECT_EQ(fusco_plan_get_info(plan, &info), FUSCO_BAD_STATE);
  ASSERT_EQ(run(Dispatch).status, FUSCO_OK);
  EXPECT_EQ(fusco_plan_get_info(plan, &info), FUSCO_BAD_STATE);
  EXPECT_STREQ(fusco_last_error(),
               "fusco_plan_get_info: the plan is empty; run a dispatch that "
               "succeeds into it first");
  char *memory = cuda.launches[0].args.program.plan;
  const fusco_plan_stats stats = {5, 2, 3, 4, 5, 6, 7, 8};
  std::memcpy(memory + fake.info.planStatsBytes, &stats, sizeof(stats));
  memory[fake.info.planBytes] = 1;
  ASSERT_EQ(fusco_plan_get_info(plan, &info), FUSCO_OK);
  EXPECT_EQ(info.tokens, 5);
  EXPECT_EQ(info.rowsPadded, 8);
}

TEST_F(GpuRanksTest, CopiesGoThereAndBack) {
  const char sent[] = "rows";
  char got[sizeof(sent)] = "";
  void *data = tensors[X]->dl_tensor.data;
  ASSERT_EQ(fusco_copy_to_device(contexts[1], data, sent, sizeof(sent)),
            FUSCO_OK);
  ASSERT_EQ(fusco_copy_to_host(contexts[1], got, data, sizeof(got)), FUSCO_OK);
  EXPECT_STREQ(got, sent);
  EXPECT_EQ(fusco_copy_to_host(contexts[1], nullptr, nullptr, 0), FUSCO_OK);
  EXPECT_EQ(fusco_copy_to_host(contexts[1], got, nullptr, 1),
            FUSCO_INVALID_ARGUMENT);
}

TEST_F(GpuTest, LaunchThreadsReportsWhatKernelsLeft) {
  GpuLibrary fake(2);
  cuda.onLaunch = [](const Launch &launch) {
    launch.args.error->status = FUSCO_CAPACITY;
    launch.args.error->b = 4;
  };
  auto launchOnRank0 = [](fusco_context *context, void *user) {
    auto *library = static_cast<const fusco_library *>(user);
    if (fusco_context_rank(context) == 0)
      fusco_program_run(library, Dispatch, context, nullptr, nullptr, nullptr);
    return FUSCO_OK;
  };
  EXPECT_EQ(fusco_launch_threads(&fake.library, nullptr, launchOnRank0,
                                 &fake.library),
            FUSCO_CAPACITY);
  EXPECT_STREQ(fusco_last_error(), "m_dispatch: rank 0 needs 4 rows, its "
                                   "tensor 'rows' has room for 0");
}
