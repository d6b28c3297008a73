//===- EmulatorTest.cpp - Tests of the CUDA emulator ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Small kernels, group by group of instructions, against what the PTX manual
/// says. Where there is ptxas, it must accept all of them.
//
//===----------------------------------------------------------------------===//

#include "test/cuda-emulator/Cuda.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <numeric>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <vector>

namespace {

//===----------------------------------------------------------------------===//
// Set-up
//===----------------------------------------------------------------------===//

void *getLibrary() {
  static void *library = dlopen(FUSCO_CUDA_EMULATOR, RTLD_NOW);
  if (!library)
    throw std::runtime_error(dlerror());
  return library;
}

/// Calls the driver's function \p name.
template <class... Args> CUresult cu(const char *name, Args... args) {
  void *symbol = dlsym(getLibrary(), name);
  if (!symbol)
    throw std::runtime_error(std::string("no ") + name);
  return reinterpret_cast<CUresult (*)(Args...)>(symbol)(args...);
}

template <class... Args> void must(const char *name, Args... args) {
  CUresult result = cu(name, args...);
  if (result != CUDA_SUCCESS)
    throw std::runtime_error(std::string(name) + ": " + std::to_string(result));
}

template <class T> class Buffer {
public:
  explicit Buffer(std::vector<T> values) : size(values.size()) {
    must("cuMemAlloc_v2", &address, size * sizeof(T));
    set(values);
  }
  explicit Buffer(std::size_t size) : Buffer(std::vector<T>(size)) {}
  Buffer(const Buffer &) = delete;
  ~Buffer() { cu("cuMemFree_v2", address); }

  void set(const std::vector<T> &values) {
    must("cuMemcpyHtoD_v2", address, static_cast<const void *>(values.data()),
         size * sizeof(T));
  }
  std::vector<T> get() const {
    std::vector<T> values(size);
    must("cuMemcpyDtoH_v2", static_cast<void *>(values.data()), address,
         size * sizeof(T));
    return values;
  }

  CUdeviceptr address = 0;

private:
  std::size_t size;
};

const char *const header = ".version 8.0\n.target sm_90\n.address_size 64\n";

/// Registers of every kind, and the parameters a and b in %rd0 and %rd1, the
/// thread in %r0.
std::string makeKernel(const std::string &body,
                       const std::string &before = "") {
  return header + before +
         ".visible .entry k(.param .u64 a, .param .u64 b) {\n"
         ".reg .pred %p<16>;\n.reg .b16 %h<32>;\n.reg .b32 %r<64>;\n"
         ".reg .b64 %rd<32>;\n.reg .f32 %f<32>;\n.reg .f64 %d<8>;\n"
         "ld.param.u64 %rd0, [a];\nld.param.u64 %rd1, [b];\n"
         "mov.u32 %r0, %tid.x;\n" +
         body + "\nret;\n}\n";
}

/// Stores \p reg, a register of \p type, as this thread's value number \p index
/// of \p count.
std::string put(const std::string &type, const std::string &reg, int index = 0,
                int count = 1) {
  std::string bytes = std::to_string(std::stoi(type.substr(1)) / 8);
  return "{ .reg .u64 %to; .reg .u32 %at; mad.lo.u32 %at, %r0, " +
         std::to_string(count) + ", " + std::to_string(index) +
         "; mad.wide.u32 %to, %at, " + bytes + ", %rd0; st.global." + type +
         " [%to], " + reg + "; }\n";
}

/// Loads this thread's value number \p index of \p count from b.
std::string get(const std::string &type, const std::string &reg, int index = 0,
                int count = 1) {
  std::string bytes = std::to_string(std::stoi(type.substr(1)) / 8);
  return "{ .reg .u64 %from; .reg .u32 %at; mad.lo.u32 %at, %r0, " +
         std::to_string(count) + ", " + std::to_string(index) +
         "; mad.wide.u32 %from, %at, " + bytes + ", %rd1; ld.global." + type +
         " " + reg + ", [%from]; }\n";
}

void checkWithPtxas(const std::string &ptx) {
#ifdef FUSCO_PTXAS
  std::string command = FUSCO_PTXAS " -arch=sm_90 -o /dev/null /dev/stdin >&2";
  FILE *pipe = popen(command.c_str(), "w");
  ASSERT_NE(pipe, nullptr);
  std::fputs(ptx.c_str(), pipe);
  EXPECT_EQ(pclose(pipe), 0) << ptx;
#else
  (void)ptx;
#endif
}

class EmulatorTest : public testing::Test {
protected:
  void SetUp() override {
    must("cuInit", 0u);
    CUcontext context;
    must("cuDevicePrimaryCtxRetain", &context, 0);
    must("cuCtxSetCurrent", context);
  }
  void TearDown() override {
    cu("cuDevicePrimaryCtxRelease_v2", 0);
    cu("cuCtxSetCurrent", CUcontext(nullptr));
  }

  CUfunction load(const std::string &ptx) {
    checkWithPtxas(ptx);
    CUmodule module;
    must("cuModuleLoadData", &module, static_cast<const void *>(ptx.c_str()));
    CUfunction function;
    must("cuModuleGetFunction", &function, module, "k");
    return function;
  }

  template <class... Args>
  CUresult launch(CUfunction function, unsigned blocks, unsigned threads,
                  unsigned sharedBytes, CUstream stream, Args... args) {
    void *params[] = {&args...};
    return cu("cuLaunchKernel", function, blocks, 1u, 1u, threads, 1u, 1u,
              sharedBytes, stream, static_cast<void **>(params),
              static_cast<void **>(nullptr));
  }

  /// Runs a kernel of one block with the buffers a (of \p size) and b; returns
  /// what is in a.
  template <class T, class S = T>
  std::vector<T> run(const std::string &ptx, unsigned threads, std::size_t size,
                     const std::vector<S> &input = {S()}) {
    Buffer<T> a(size);
    Buffer<S> b(input);
    must("cuCtxSynchronize");
    EXPECT_EQ(launch(load(ptx), 1, threads, 0, nullptr, a.address, b.address),
              CUDA_SUCCESS);
    EXPECT_EQ(cu("cuCtxSynchronize"), CUDA_SUCCESS);
    return a.get();
  }

  /// The result of a kernel that must fail, and what it says.
  CUresult runToFail(const std::string &ptx, unsigned threads,
                     std::string &report) {
    Buffer<std::uint32_t> a(32), b(32);
    CUfunction function = load(ptx);
    testing::internal::CaptureStderr();
    launch(function, 1, threads, 0, nullptr, a.address, b.address);
    CUresult result = cu("cuCtxSynchronize");
    report = testing::internal::GetCapturedStderr();
    return result;
  }
};

using Words = std::vector<std::uint32_t>;
using Longs = std::vector<std::uint64_t>;

std::uint32_t bitsOf(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

/// Runs \p instructions, each a result in %r10, with %r1 and %r2 as sources.
#define EXPECT_WORDS(instructions, x, y, ...)                                  \
  do {                                                                         \
    std::vector<std::string> all = instructions;                               \
    std::string body = get("u32", "%r1", 0, 2) + get("u32", "%r2", 1, 2);      \
    for (std::size_t i = 0; i < all.size(); ++i)                               \
      body += all[i] + ";\n" + put("u32", "%r10", i, all.size());              \
    EXPECT_EQ(run<std::uint32_t>(makeKernel(body), 1, all.size(),              \
                                 Words{std::uint32_t(x), std::uint32_t(y)}),   \
              (__VA_ARGS__));                                                  \
  } while (false)

using Lines = std::vector<std::string>;

TEST_F(EmulatorTest, Integers) {
  EXPECT_WORDS(
      (Lines{"add.s32 %r10, %r1, %r2", "sub.s32 %r10, %r1, %r2",
             "mul.lo.s32 %r10, %r1, %r2", "mul.hi.s32 %r10, %r1, %r2",
             "mul.hi.u32 %r10, %r1, %r2", "mad.lo.s32 %r10, %r1, %r2, 5",
             "div.s32 %r10, %r1, %r2", "rem.s32 %r10, %r1, %r2",
             "div.u32 %r10, %r1, %r2", "rem.u32 %r10, %r1, %r2",
             "min.s32 %r10, %r1, %r2", "max.u32 %r10, %r1, %r2",
             "abs.s32 %r10, %r1", "neg.s32 %r10, %r1"}),
      -7, 3,
      Words{std::uint32_t(-4), std::uint32_t(-10), std::uint32_t(-21), ~0u, 2,
            std::uint32_t(-16), std::uint32_t(-2), ~0u, std::uint32_t(-7) / 3,
            std::uint32_t(-7) % 3, std::uint32_t(-7), std::uint32_t(-7), 7, 7});
}

TEST_F(EmulatorTest, Bits) {
  EXPECT_WORDS((Lines{"and.b32 %r10, %r1, %r2",
                      "or.b32 %r10, %r1, %r2",
                      "xor.b32 %r10, %r1, %r2",
                      "not.b32 %r10, %r1",
                      "shl.b32 %r10, %r1, 4",
                      "shr.u32 %r10, %r1, 4",
                      "shr.s32 %r10, %r1, 40",
                      "shl.b32 %r10, %r1, 32",
                      "popc.b32 %r10, %r2",
                      "clz.b32 %r10, %r2",
                      "brev.b32 %r10, %r2",
                      "bfe.u32 %r10, %r1, 4, 8",
                      "bfe.s32 %r10, %r1, 28, 4",
                      "bfi.b32 %r10, %r2, %r1, 8, 8",
                      "bfind.u32 %r10, %r2",
                      "prmt.b32 %r10, %r1, %r2, 0x5140",
                      "prmt.b32 %r10, %r1, %r2, 0xb",
                      "shf.l.wrap.b32 %r10, %r1, %r2, 8",
                      "shf.r.clamp.b32 %r10, %r1, %r2, 32",
                      "lop3.b32 %r10, %r1, %r2, 0xff00ff00, 0xe8"}),
               0xF0E1D2C3, 0x0000A5B6,
               Words{0x8082,
                     0xF0E1F7F7,
                     0xF0E17775,
                     0x0F1E2D3C,
                     0x0E1D2C30,
                     0x0F0E1D2C,
                     0xFFFFFFFF,
                     0,
                     9,
                     16,
                     0x6DA50000,
                     0x2C,
                     0xFFFFFFFF,
                     0xF0E1B6C3,
                     15,
                     0xA5D2B6C3,
                     0xC3C3C3FF,
                     0x0000A5B6 << 8 | 0xF0,
                     0x0000A5B6,
                     (0xF0E1D2C3 & 0xA5B6) | (0xF0E1D2C3 & 0xFF00FF00) |
                         (0xA5B6 & 0xFF00FF00)});
}

TEST_F(EmulatorTest, LongsAndShorts) {
  std::string body = get("u64", "%rd2", 0, 2) + get("u64", "%rd3", 1, 2);
  Lines all = {"add.s64 %rd10, %rd2, %rd3",
               "mul.lo.s64 %rd10, %rd2, %rd3",
               "mul.hi.u64 %rd10, %rd2, %rd3",
               "mul.hi.s64 %rd10, %rd2, %rd3",
               "div.s64 %rd10, %rd2, %rd3",
               "rem.u64 %rd10, %rd2, %rd3",
               "shr.s64 %rd10, %rd2, 1",
               "{ cvt.u32.u64 %r1, %rd2; mul.wide.s32 %rd10, %r1, -3; }",
               "{ cvt.u16.u64 %h1, %rd2; add.s16 %h1, %h1, 1;"
               " cvt.s64.s16 %rd10, %h1; }",
               "{ mov.b64 {%r1, %r2}, %rd3; mov.b64 %rd10, {%r2, %r1}; }",
               "{ cvt.u32.u64 %r1, %rd2; mov.b32 {%h1, %h2}, %r1;"
               " cvt.u64.u16 %rd10, %h2; }",
               "{ clz.b64 %r1, %rd3; cvt.u64.u32 %rd10, %r1; }"};
  for (std::size_t i = 0; i < all.size(); ++i)
    body += all[i] + (all[i].back() == '}' ? "\n" : ";\n") +
            put("u64", "%rd10", i, all.size());
  std::int64_t x = -1234567890123456789, y = 987654321;
  std::uint64_t ux = x, uy = y;
  using U128 = unsigned __int128;
  using S128 = __int128;
  EXPECT_EQ(run<std::uint64_t>(makeKernel(body), 1, all.size(), Longs{ux, uy}),
            (Longs{ux + uy, ux * uy, std::uint64_t(U128(ux) * uy >> 64),
                   std::uint64_t(S128(x) * y >> 64), std::uint64_t(x / y),
                   ux % uy, std::uint64_t(x >> 1),
                   std::uint64_t(std::int64_t(std::int32_t(x)) * -3),
                   std::uint64_t(std::int64_t(std::int16_t(x + 1))),
                   uy << 32 | uy >> 32, (ux >> 16) & 0xFFFF, 34}));
}

TEST_F(EmulatorTest, ComparisonsAndPredicates) {
  auto bit = [](const char *setp) {
    return std::string(setp) + "; selp.u32 %r10, 1, 0, %p1";
  };
  EXPECT_WORDS(
      (Lines{bit("setp.lt.s32 %p1, %r1, %r2"), bit("setp.lt.u32 %p1, %r1, %r2"),
             bit("setp.hs.u32 %p1, %r1, %r2"),
             bit("setp.ne.b32 %p2, %r1, %r2; setp.gt.and.s32 %p1, %r2, 0, %p2"),
             bit("setp.ne.b32 %p2, %r1, %r2;"
                 " setp.gt.and.s32 %p1|%p3, %r2, 0, !%p2"),
             bit("setp.eq.s32 %p2|%p1, %r1, %r2"),
             bit("mov.b32 %f1, 0f7fc00000; setp.leu.f32 %p1, %f1, 0f00000000"),
             bit("mov.b32 %f1, 0f7fc00000; setp.le.f32 %p1, %f1, 0f00000000"),
             bit("setp.lt.s32 %p2, %r1, %r2; not.pred %p1, %p2"),
             "set.lt.u32.s32 %r10, %r1, %r2"}),
      -1, 1, Words{1, 0, 1, 1, 0, 1, 1, 0, 0, ~0u});
}

TEST_F(EmulatorTest, Floats) {
  auto on = [](const char *what) {
    return std::string("mov.b32 %f1, %r1; mov.b32 %f2, %r2; ") + what +
           "; mov.b32 %r10, %f10";
  };
  float x = 1.1f, y = -3e-40f; // y is subnormal
  EXPECT_WORDS(
      (Lines{on("add.rn.f32 %f10, %f1, %f2"), on("mul.f32 %f10, %f1, %f2"),
             on("fma.rn.f32 %f10, %f1, %f1, %f1"),
             on("div.rn.f32 %f10, %f2, %f1"), on("sqrt.rn.f32 %f10, %f1"),
             on("sqrt.rn.f32 %f10, %f2"), on("min.f32 %f10, %f1, 0f7fc00000"),
             on("neg.f32 %f10, %f2"), on("cvt.rni.f32.f32 %f10, %f1"),
             on("cvt.f64.f32 %d1, %f1; add.f64 %d1, %d1, %d1;"
                " cvt.rn.f32.f64 %f10, %d1")}),
      bitsOf(x), bitsOf(y),
      Words{bitsOf(x + y), bitsOf(x * y), bitsOf(std::fma(x, x, x)),
            bitsOf(y / x), bitsOf(std::sqrt(x)), 0x7FFFFFFF, bitsOf(x),
            bitsOf(-y), bitsOf(1.0f), bitsOf(2 * x)});
}

TEST_F(EmulatorTest, Conversions) {
  EXPECT_WORDS((Lines{"cvt.s32.s8 %r10, %r1", "cvt.u32.u8 %r10, %r1",
                      "cvt.sat.s8.s32 %r10, %r2", "cvt.sat.u8.s32 %r10, %r1",
                      "cvt.rn.f32.s32 %f1, %r1; mov.b32 %r10, %f1",
                      "cvt.rn.f32.u32 %f1, %r1; mov.b32 %r10, %f1",
                      "mov.f32 %f1, 0fC0200000; cvt.rzi.s32.f32 %r10, %f1",
                      "mov.f32 %f1, 0fC0200000; cvt.rni.s32.f32 %r10, %f1",
                      "mov.f32 %f1, 0fC0200000; cvt.rzi.u32.f32 %r10, %f1",
                      "mov.f32 %f1, 0f7F800000; cvt.rzi.s32.f32 %r10, %f1",
                      "mov.f32 %f1, 0f7FC00000; cvt.rzi.s32.f32 %r10, %f1"}),
               0xFFFFFF80, 1000,
               Words{0xFFFFFF80, 0x80, 127, 0, bitsOf(-128.0f),
                     bitsOf(4294967168.0f), std::uint32_t(-2),
                     std::uint32_t(-2), 0, 0x7FFFFFFF, 0});
}

TEST_F(EmulatorTest, SmallFloats) {
  auto narrow = [](const char *type, const char *bits) {
    return std::string("mov.b32 %f1, ") + bits + "; cvt.rn." + type +
           ".f32 %h1, %f1; cvt.u32.u16 %r10, %h1";
  };
  EXPECT_WORDS(
      (Lines{narrow("bf16", "0f3F808000"), narrow("bf16", "0f3F818000"),
             narrow("bf16", "0f3F808001"), narrow("bf16", "0f7F7FFFFF"),
             narrow("bf16", "0fFFC12345"), narrow("bf16", "0f00018000"),
             narrow("f16", "0f3F801000"), narrow("f16", "0f3F803000"),
             narrow("f16", "0f477FF000"), narrow("f16", "0f33800000"),
             narrow("f16", "0f33000000"), narrow("f16", "0f33000001"),
             "mov.b16 %h1, 0x0001; cvt.f32.f16 %f1, %h1; mov.b32 %r10, %f1",
             "mov.b16 %h1, 0x0001; cvt.f32.bf16 %f1, %h1; mov.b32 %r10, %f1",
             "cvt.rn.bf16x2.f32 %r10, 0f3F800000, 0f40000000",
             "cvt.rn.f16x2.f32 %r10, 0f3F800000, 0f40000000",
             // 1.0078125 * 1.0078125 + 2^-20, rounded once.
             "mov.b32 %r3, 0x3f813f81; mov.b32 %r4, 0x35803580;"
             " fma.rn.bf16x2 %r10, %r3, %r3, %r4"}),
      0, 0,
      Words{0x3F80, 0x3F82, 0x3F81, 0x7F80, 0x7FFF, 0x0002, 0x3C00, 0x3C02,
            0x7C00, 0x0001, 0x0000, 0x0001, 0x33800000, 0x00010000, 0x3F804000,
            0x3C004000, 0x3F823F82});
}

TEST_F(EmulatorTest, PairsOfSmallIntegers) {
  auto pair = [](const char *what) {
    return std::string("mov.b32 %r3, 0x8001FFFF; mov.b32 %r4, 0x7FFF0002; ") +
           what + " %r10, %r3, %r4";
  };
  EXPECT_WORDS((Lines{pair("add.s16x2"), pair("add.u16x2"), pair("min.s16x2"),
                      pair("min.u16x2"), pair("max.s16x2"), pair("max.u16x2")}),
               0, 0,
               Words{0x00000001, 0x00000001, 0x8001FFFF, 0x7FFF0002, 0x7FFF0002,
                     0x8001FFFF});
}

//===----------------------------------------------------------------------===//
// Control
//===----------------------------------------------------------------------===//

TEST_F(EmulatorTest, LanesDivergeAndMeetAgain) {
  // Each lane loops as often as its number says; all meet for the vote.
  Words result = run<std::uint32_t>(
      makeKernel("mov.u32 %r1, 0;\nmov.u32 %r2, 0;\n"
                 "LOOP: setp.ge.u32 %p1, %r2, %r0;\n@%p1 bra END;\n"
                 "add.u32 %r1, %r1, %r2;\nadd.u32 %r2, %r2, 1;\nbra LOOP;\n"
                 "END: vote.sync.ballot.b32 %r3, %p1, -1;\n" +
                 put("u32", "%r1", 0, 2) + put("u32", "%r3", 1, 2)),
      40, 80);
  for (std::uint32_t i = 0; i < 40; ++i) {
    EXPECT_EQ(result[2 * i], i * (i - 1) / 2);
    EXPECT_EQ(result[2 * i + 1], i < 32 ? ~0u : 0xFFu);
  }
}

TEST_F(EmulatorTest, LanesOfAWarpWaitForEachOther) {
  // Lane 0, the lower of the two in the program, spins until lane 1 stores.
  EXPECT_EQ(run<std::uint32_t>(
                makeKernel("setp.ne.u32 %p1, %r0, 0;\n@%p1 bra OTHER;\n"
                           "SPIN: ld.acquire.gpu.global.u32 %r1, [%rd0];\n"
                           "setp.eq.u32 %p2, %r1, 0;\n@%p2 bra SPIN;\n"
                           "bra END;\n"
                           "OTHER: st.release.gpu.global.u32 [%rd0], 7;\n"
                           "END:"),
                2, 1),
            Words{7});
}

TEST_F(EmulatorTest, Calls) {
  std::string function = R"(
.func (.param .b32 result) twice(.param .b32 x, .param .align 8 .b8 s[16]);
.func (.param .b32 result) twice(.param .b32 x, .param .align 8 .b8 s[16]) {
  .reg .b32 %r<4>;
  .reg .b64 %rd<2>;
  .reg .pred %p<2>;
  .local .align 4 .b8 depot[8];
  mov.u64 %rd1, depot;
  ld.param.u32 %r1, [x];
  ld.param.u32 %r2, [s+8];
  st.local.u32 [%rd1+4], %r1;
  setp.lt.u32 %p1, %r1, 4;
  @%p1 bra SMALL;
  ld.local.u32 %r3, [%rd1+4];
  add.u32 %r1, %r1, %r3;
SMALL:
  add.u32 %r1, %r1, %r2;
  st.param.b32 [result], %r1;
  ret;
}
)";
  Words result = run<std::uint32_t>(
      makeKernel("setp.eq.u32 %p1, %r0, 9;\n@%p1 bra END;\n{\n"
                 ".param .b32 p0;\n.param .align 8 .b8 p1[16];\n"
                 ".param .b32 r;\nst.param.b32 [p0], %r0;\n"
                 "st.param.b32 [p1+8], 100;\n"
                 "call.uni (r), twice, (p0, p1);\nld.param.b32 %r1, [r];\n}\n" +
                     put("u32", "%r1") + "END:",
                 function),
      10, 10);
  EXPECT_EQ(result, (Words{100, 101, 102, 103, 108, 110, 112, 114, 116, 0}));
}

TEST_F(EmulatorTest, BranchTables) {
  Words result = run<std::uint32_t>(
      makeKernel("rem.u32 %r1, %r0, 3;\nT: .branchtargets A, B, C;\n"
                 "brx.idx %r1, T;\n"
                 "A: mov.u32 %r2, 10; bra END;\nB: mov.u32 %r2, 20; bra END;\n"
                 "C: mov.u32 %r2, 30;\nEND:\n" +
                 put("u32", "%r2")),
      5, 5);
  EXPECT_EQ(result, (Words{10, 20, 30, 10, 20}));
}

//===----------------------------------------------------------------------===//
// Warps and blocks
//===----------------------------------------------------------------------===//

TEST_F(EmulatorTest, WarpCollectives) {
  const int count = 9;
  Words result = run<std::uint32_t>(
      makeKernel(
          "mul.lo.u32 %r1, %r0, 3;\nsetp.gt.u32 %p1, %r0, 29;\n"
          "shfl.sync.up.b32 %r2|%p2, %r1, 1, 0, -1;\n" +
          put("u32", "%r2", 0, count) +
          "shfl.sync.bfly.b32 %r2, %r1, 16, 31, -1;\n" +
          put("u32", "%r2", 1, count) +
          // Four segments of eight lanes.
          "shfl.sync.idx.b32 %r2, %r1, 2, 0x181f, -1;\n" +
          put("u32", "%r2", 2, count) + "vote.sync.ballot.b32 %r2, %p1, -1;\n" +
          put("u32", "%r2", 3, count) +
          "vote.sync.any.pred %p3, %p1, -1;\nselp.u32 %r2, 1, 0, %p3;\n" +
          put("u32", "%r2", 4, count) +
          "shr.u32 %r3, %r0, 4;\nmatch.any.sync.b32 %r2, %r3, -1;\n" +
          put("u32", "%r2", 5, count) + "redux.sync.add.s32 %r2, %r0, -1;\n" +
          put("u32", "%r2", 6, count) +
          "elect.sync %r2|%p4, -1;\nselp.u32 %r2, 1, 0, %p4;\n" +
          put("u32", "%r2", 7, count) + "mov.u32 %r2, %lanemask_lt;\n" +
          put("u32", "%r2", 8, count)),
      32, 32 * count);
  for (std::uint32_t i = 0; i < 32; ++i) {
    std::uint32_t *lane = &result[i * count];
    EXPECT_EQ(lane[0], 3 * (i ? i - 1 : 0));
    EXPECT_EQ(lane[1], 3 * (i ^ 16));
    EXPECT_EQ(lane[2], 3 * ((i & 24) + 2));
    EXPECT_EQ(lane[3], 0xC0000000);
    EXPECT_EQ(lane[4], 1u);
    EXPECT_EQ(lane[5], i < 16 ? 0xFFFFu : 0xFFFF0000u);
    EXPECT_EQ(lane[6], 31u * 16);
    EXPECT_EQ(lane[7], i == 0);
    EXPECT_EQ(lane[8], (1u << i) - 1);
  }
}

TEST_F(EmulatorTest, CollectivesWaitForTheirMembers) {
  // The halves come by different ways, and a third of them leaves.
  Words result = run<std::uint32_t>(
      makeKernel("setp.gt.u32 %p1, %r0, 23;\n@%p1 exit;\n"
                 "and.b32 %r1, %r0, 1;\nsetp.eq.u32 %p2, %r1, 0;\n"
                 "mov.u32 %r2, %r0;\n@%p2 bra EVEN;\nnanosleep.u32 20;\n"
                 "add.u32 %r2, %r2, 100;\nEVEN:\n"
                 "shfl.sync.bfly.b32 %r3, %r2, 1, 31, -1;\n" +
                 put("u32", "%r3")),
      32, 32);
  for (std::uint32_t i = 0; i < 24; ++i)
    EXPECT_EQ(result[i], (i ^ 1) + (i & 1 ? 0 : 100));
}

TEST_F(EmulatorTest, BarriersAndSharedMemory) {
  // Each thread adds its neighbour's value in another warp; then a reduction.
  Words result = run<std::uint32_t>(
      makeKernel("mov.u32 %r1, tile;\nmad.lo.u32 %r2, %r0, 4, %r1;\n"
                 "st.shared.u32 [%r2], %r0;\nbar.sync 0;\n"
                 "add.u32 %r3, %r0, 32;\nrem.u32 %r3, %r3, 96;\n"
                 "mov.u64 %rd4, tile;\ncvta.shared.u64 %rd4, %rd4;\n"
                 "mad.wide.u32 %rd4, %r3, 4, %rd4;\nld.u32 %r4, [%rd4];\n" +
                     put("u32", "%r4", 0, 2) +
                     "setp.lt.u32 %p1, %r0, 70;\n"
                     "bar.red.popc.u32 %r5, 1, %p1;\n"
                     "setp.lt.u32 %p2, %r0, 32;\n@%p2 bra END;\n"
                     "barrier.sync.aligned 2, 64;\nEND:\n" +
                     put("u32", "%r5", 1, 2),
                 ".shared .align 4 .b8 tile[384];\n"),
      96, 192);
  for (std::uint32_t i = 0; i < 96; ++i) {
    EXPECT_EQ(result[2 * i], (i + 32) % 96);
    EXPECT_EQ(result[2 * i + 1], 70u);
  }
}

TEST_F(EmulatorTest, VectorsOfEverySize) {
  std::vector<std::uint8_t> input(64), expected(64);
  std::iota(input.begin(), input.end(), 200);
  std::string body =
      "shl.b32 %r1, %r0, 5;\ncvt.u64.u32 %rd2, %r1;\n"
      "add.u64 %rd3, %rd0, %rd2;\nadd.u64 %rd4, %rd1, %rd2;\n"
      "ld.global.nc.L1::no_allocate.v4.b32 {%r2, %r3, %r4, %r5}, [%rd4];\n"
      "st.global.v4.b32 [%rd3], {%r2, %r3, %r4, %r5};\n"
      "ld.global.v2.u8 {%h1, %h2}, [%rd4+16];\n"
      "st.global.v2.u8 [%rd3+16], {%h1, %h2};\n"
      "ld.volatile.global.u16 %h3, [%rd4+18];\n"
      "st.volatile.global.u16 [%rd3+18], %h3;\n"
      "ld.global.f32 %f1, [%rd4+20];\nst.global.f32 [%rd3+20], %f1;\n"
      "ld.relaxed.sys.global.u64 %rd5, [%rd4+24];\n"
      "st.relaxed.sys.global.u64 [%rd3+24], %rd5;\n";
  EXPECT_EQ((run<std::uint8_t>(makeKernel(body), 2, 64, input)), input);
}

TEST_F(EmulatorTest, ModuleVariables) {
  Words result = run<std::uint32_t>(
      makeKernel("mov.u64 %rd2, table;\nmad.wide.u32 %rd2, %r0, 4, %rd2;\n"
                 "ld.global.u32 %r1, [%rd2];\nld.global.u64 %rd3, [pointer];\n"
                 "ld.u32 %r2, [%rd3];\nadd.u32 %r1, %r1, %r2;\n" +
                     put("u32", "%r1"),
                 ".global .align 4 .b8 table[12] = {1, 0, 0, 0, 2, 0, 0, 0, "
                 "3};\n.global .align 8 .u64 pointer = generic(table);\n"),
      3, 3);
  EXPECT_EQ(result, (Words{2, 3, 4}));
}

//===----------------------------------------------------------------------===//
// Kernels at the same time
//===----------------------------------------------------------------------===//

TEST_F(EmulatorTest, AtomicsOfAllBlocks) {
  CUfunction function = load(
      makeKernel("mov.u32 %r1, %ctaid.x;\nmad.lo.u32 %r2, %r1, 64, %r0;\n"
                 "red.relaxed.gpu.global.add.u32 [%rd0], %r2;\n"
                 "atom.global.max.s32 %r3, [%rd0+4], %r2;\n"
                 "cvt.u64.u32 %rd2, %r2;\natom.add.u64 %rd3, [%rd0+8], %rd2;\n"
                 // A lock by compare and swap.
                 "SPIN: atom.acquire.gpu.global.cas.b32 %r4, [%rd0+16], 0, 1;\n"
                 "setp.ne.u32 %p1, %r4, 0;\n@%p1 bra SPIN;\n"
                 "ld.global.u32 %r5, [%rd0+20];\nadd.u32 %r5, %r5, 1;\n"
                 "st.global.u32 [%rd0+20], %r5;\n"
                 "atom.release.gpu.global.exch.b32 %r4, [%rd0+16], 0;\n"));
  Buffer<std::uint32_t> a(6), b(1);
  // More blocks than multiprocessors.
  ASSERT_EQ(launch(function, 40, 64, 0, nullptr, a.address, b.address),
            CUDA_SUCCESS);
  std::uint32_t n = 40 * 64, sum = n * (n - 1) / 2;
  EXPECT_EQ(a.get(), (Words{sum, n - 1, sum, 0, 0, n}));
}

TEST_F(EmulatorTest, StreamsRunAtTheSameTime) {
  // Each kernel signals and then waits for the other's signal.
  CUfunction function =
      load(makeKernel("red.release.sys.global.add.u64 [%rd1], 1;\n"
                      "SPIN: ld.acquire.sys.global.u64 %rd2, [%rd0];\n"
                      "setp.eq.u64 %p1, %rd2, 0;\n@%p1 bra SPIN;\n"));
  Buffer<std::uint64_t> a(1), b(1);
  CUstream first, second;
  must("cuStreamCreate", &first, 1u);
  must("cuStreamCreate", &second, 1u);
  must("cuCtxSynchronize");
  launch(function, 2, 32, 0, first, a.address, b.address);
  EXPECT_EQ(cu("cuStreamQuery", first), CUDA_ERROR_NOT_READY);
  launch(function, 2, 32, 0, second, b.address, a.address);
  EXPECT_EQ(cu("cuStreamSynchronize", first), CUDA_SUCCESS);
  EXPECT_EQ(cu("cuStreamSynchronize", second), CUDA_SUCCESS);
  EXPECT_EQ(a.get(), Longs{64});
  EXPECT_EQ(b.get(), Longs{64});
}

TEST_F(EmulatorTest, EventsOrderStreams) {
  CUfunction function =
      load(makeKernel("ld.global.u32 %r1, [%rd1];\nadd.u32 %r1, %r1, 1;\n"
                      "st.global.u32 [%rd0], %r1;\n"));
  Buffer<std::uint32_t> a(1), b(1), c(1);
  CUstream first, second;
  CUevent start, end;
  must("cuStreamCreate", &first, 1u);
  must("cuStreamCreate", &second, 1u);
  must("cuEventCreate", &start, 0u);
  must("cuEventCreate", &end, 0u);
  must("cuEventRecord", start, first);
  launch(function, 1, 1, 0, first, b.address, a.address);
  must("cuEventRecord", end, first);
  must("cuStreamWaitEvent", second, end, 0u);
  launch(function, 1, 1, 0, second, c.address, b.address);
  must("cuStreamSynchronize", second);
  EXPECT_EQ(c.get(), Words{2});
  float milliseconds = -1;
  must("cuEventElapsedTime", &milliseconds, start, end);
  EXPECT_GE(milliseconds, 0);
}

TEST_F(EmulatorTest, GraphsReplay) {
  // Two streams, each a kernel that waits for the other's.
  CUfunction function =
      load(makeKernel("atom.release.sys.global.add.u32 %r1, [%rd1], 1;\n"
                      "SPIN: ld.acquire.sys.global.u32 %r2, [%rd0];\n"
                      "setp.le.u32 %p1, %r2, %r1;\n@%p1 bra SPIN;\n"));
  Buffer<std::uint32_t> a(1), b(1);
  CUstream first, second;
  CUevent fork, join;
  must("cuStreamCreate", &first, 1u);
  must("cuStreamCreate", &second, 1u);
  must("cuEventCreate", &fork, 0u);
  must("cuEventCreate", &join, 0u);
  must("cuStreamBeginCapture_v2", first, 0);
  must("cuEventRecord", fork, first);
  must("cuStreamWaitEvent", second, fork, 0u);
  launch(function, 1, 1, 0, first, a.address, b.address);
  launch(function, 1, 1, 0, second, b.address, a.address);
  must("cuEventRecord", join, second);
  must("cuStreamWaitEvent", first, join, 0u);
  EXPECT_EQ(cu("cuStreamSynchronize", first),
            CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  CUgraph graph;
  must("cuStreamEndCapture", first, &graph);
  EXPECT_EQ(a.get(), Words{0});
  CUgraphExec executable;
  must("cuGraphInstantiateWithFlags", &executable, graph, 0ull);
  must("cuGraphDestroy", graph);
  for (int i = 0; i < 3; ++i)
    must("cuGraphLaunch", executable, first);
  must("cuStreamSynchronize", first);
  EXPECT_EQ(a.get(), Words{3});
  EXPECT_EQ(b.get(), Words{3});
}

//===----------------------------------------------------------------------===//
// Bulk copies
//===----------------------------------------------------------------------===//

/// Copies \p rounds tiles of 1024 bytes from b to a through one slot of dynamic
/// shared memory. What the slot is waited for can be left out.
std::string makeBulkCopy(int rounds, bool waitsForLoad, bool waitsForStore) {
  return makeKernel(
      "mov.u32 %r1, slot;\nmov.u32 %r2, barrier;\n"
      "setp.ne.u32 %p1, %r0, 0;\n@%p1 bra END;\n"
      "mbarrier.init.shared::cta.b64 [%r2], 1;\n"
      "fence.proxy.async.shared::cta;\nmov.u32 %r3, 0;\n"
      "LOOP:\n"
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], 1024;\n"
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
      " [%r1], [%rd1], 1024, [%r2];\n"
      "and.b32 %r4, %r3, 1;\n" +
          std::string(
              waitsForLoad
                  ? "WAIT:\nmbarrier.try_wait.parity.shared::cta.b64 %p2, "
                    "[%r2], %r4;\n@!%p2 bra WAIT;\n"
                  : "") +
          "fence.proxy.async.shared::cta;\n"
          "cp.async.bulk.global.shared::cta.bulk_group [%rd0], [%r1], 1024;\n"
          "cp.async.bulk.commit_group;\n" +
          (waitsForStore ? "cp.async.bulk.wait_group.read 0;\n" : "") +
          "add.u64 %rd0, %rd0, 1024;\nadd.u64 %rd1, %rd1, 1024;\n"
          "add.u32 %r3, %r3, 1;\nsetp.lt.u32 %p3, %r3, " +
          std::to_string(rounds) +
          ";\n@%p3 bra LOOP;\n"
          "cp.async.bulk.wait_group 0;\nEND:\n",
      ".extern .shared .align 128 .b8 slot[];\n"
      ".shared .align 8 .b8 barrier[8];\n");
}

TEST_F(EmulatorTest, BulkCopies) {
  const int rounds = 20;
  Words input(rounds * 256);
  std::iota(input.begin(), input.end(), 1);
  auto copyWith = [&](bool waitsForLoad, bool waitsForStore) {
    Buffer<std::uint32_t> a(input.size()), b(input);
    launch(load(makeBulkCopy(rounds, waitsForLoad, waitsForStore)), 1, 64, 1024,
           nullptr, a.address, b.address);
    return a.get();
  };
  EXPECT_EQ(copyWith(true, true), input);
  // A slot that is used too early holds something else.
  EXPECT_NE(copyWith(true, false), input);
}

TEST_F(EmulatorTest, BlocksMustWaitForTheirBulkCopies) {
  std::string report;
  EXPECT_EQ(runToFail(makeKernel("mov.u32 %r1, tile;\nmov.u32 %r2, barrier;\n"
                                 "mbarrier.init.shared.b64 [%r2], 1;\n"
                                 "cp.async.bulk.shared::cluster.global"
                                 ".mbarrier::complete_tx::bytes"
                                 " [%r1], [%rd0], 128, [%r2];\n",
                                 ".shared .align 16 .b8 tile[128];\n"
                                 ".shared .align 8 .b8 barrier[8];\n"),
                      1, report),
            CUDA_ERROR_LAUNCH_FAILED);
  EXPECT_NE(
      report.find("bulk copies use its shared memory, kernel 'k', block (0"),
      std::string::npos)
      << report;
}

TEST_F(EmulatorTest, BarriersCountArrivalsAndBytes) {
  // The second arrival of every thread completes the phase.
  Words result = run<std::uint32_t>(
      makeKernel("mov.u32 %r1, barrier;\nsetp.eq.u32 %p1, %r0, 0;\n"
                 "@%p1 mbarrier.init.shared.b64 [%r1], 64;\nbar.sync 0;\n"
                 "mbarrier.arrive.shared.b64 %rd2, [%r1];\n"
                 "mbarrier.test_wait.shared.b64 %p2, [%r1], %rd2;\n"
                 "bar.sync 0;\n"
                 "mbarrier.arrive.shared.b64 %rd3, [%r1];\n"
                 "WAIT: mbarrier.try_wait.shared.b64 %p3, [%r1], %rd2;\n"
                 "@!%p3 bra WAIT;\n"
                 "mbarrier.test_wait.parity.shared.b64 %p4, [%r1], 0;\n"
                 "mbarrier.test_wait.parity.shared.b64 %p5, [%r1], 1;\n"
                 "selp.u32 %r3, 1, 0, %p2;\nselp.u32 %r4, 2, 0, %p4;\n"
                 "or.b32 %r3, %r3, %r4;\n"
                 "selp.u32 %r4, 4, 0, %p5;\nor.b32 %r3, %r3, %r4;\n" +
                     put("u32", "%r3"),
                 ".shared .align 8 .b8 barrier[8];\n"),
      32, 32);
  EXPECT_EQ(result, Words(32, 2));
}

//===----------------------------------------------------------------------===//
// Errors
//===----------------------------------------------------------------------===//

TEST_F(EmulatorTest, AccessOutOfBounds) {
  std::string report;
  EXPECT_EQ(runToFail(makeKernel("setp.ne.u32 %p1, %r0, 5;\n@%p1 exit;\n"
                                 "st.global.u32 [%rd0+128], %r0;\n"),
                      32, report),
            CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT_NE(report.find("by thread 5, kernel 'k', block (0,0,0), warp 0"),
            std::string::npos)
      << report;
  EXPECT_NE(report.find("st.global.u32 [%rd0+128], %r0;"), std::string::npos)
      << report;
  // It sticks until the context goes.
  CUdeviceptr address;
  EXPECT_EQ(cu("cuMemAlloc_v2", &address, std::size_t(4)),
            CUDA_ERROR_ILLEGAL_ADDRESS);
}

TEST_F(EmulatorTest, PagesOfTheHostThatAreRegistered) {
  constexpr std::size_t bytes = 4096;
  void *pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  auto *words = static_cast<std::uint32_t *>(pages);
  CUfunction function = load(makeKernel(
      "mad.wide.u32 %rd2, %r0, 4, %rd0;\nld.global.u32 %r1, [%rd2];\n"
      "add.u32 %r1, %r1, %r0;\nst.global.u32 [%rd2], %r1;\n"));
  CUdeviceptr address = 0;
  EXPECT_EQ(cu("cuMemHostGetDevicePointer_v2", &address, pages, 0u),
            CUDA_ERROR_INVALID_VALUE);
  // Twice: nothing is left of the first.
  for (int round = 0; round < 2; ++round) {
    must("cuMemHostRegister_v2", pages, bytes, 0u);
    EXPECT_EQ(cu("cuMemHostRegister_v2", pages, bytes, 0u),
              CUDA_ERROR_INVALID_VALUE);
    must("cuMemHostGetDevicePointer_v2", &address, pages, 0u);
    words[31] = 100;
    EXPECT_EQ(launch(function, 1, 32, 0, nullptr, address, address),
              CUDA_SUCCESS);
    EXPECT_EQ(cu("cuCtxSynchronize"), CUDA_SUCCESS);
    EXPECT_EQ(words[30], 30u * (round + 1));
    EXPECT_EQ(words[31], 131u);
    must("cuMemHostUnregister", pages);
  }
  EXPECT_EQ(cu("cuMemHostUnregister", pages), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cu("cuMemHostRegister_v2", static_cast<void *>(words + 1),
               std::size_t(4), 0u),
            CUDA_ERROR_INVALID_VALUE);
  munmap(pages, bytes);
}

TEST_F(EmulatorTest, AccessBeyondSharedMemory) {
  std::string report;
  EXPECT_EQ(runToFail(makeKernel("mov.u32 %r1, tile;\n"
                                 "st.shared.u32 [%r1+16], %r0;\n",
                                 ".shared .align 4 .b8 tile[16];\n"),
                      1, report),
            CUDA_ERROR_ILLEGAL_ADDRESS);
}

TEST_F(EmulatorTest, MisalignedAccess) {
  std::string report;
  EXPECT_EQ(runToFail(makeKernel("ld.global.v2.u32 {%r1, %r2}, [%rd0+4];\n"
                                 "st.global.u32 [%rd0], %r1;\n"),
                      1, report),
            CUDA_ERROR_MISALIGNED_ADDRESS);
  EXPECT_NE(report.find("misaligned access of 8 bytes"), std::string::npos)
      << report;
}

TEST_F(EmulatorTest, Deadlock) {
  std::string report;
  EXPECT_EQ(runToFail(makeKernel("setp.lt.u32 %p1, %r0, 32;\n"
                                 "@%p1 bra ONE;\nbar.sync 0, 64;\nbra END;\n"
                                 "ONE: bar.sync 1, 64;\nEND:"),
                      64, report),
            CUDA_ERROR_LAUNCH_FAILED);
  EXPECT_NE(report.find("deadlock"), std::string::npos) << report;
  EXPECT_NE(report.find("bar.sync 0, 64;"), std::string::npos) << report;
  EXPECT_NE(report.find("bar.sync 1, 64;"), std::string::npos) << report;
}

TEST_F(EmulatorTest, BarrierInDivergentCode) {
  std::string report;
  EXPECT_EQ(runToFail(makeKernel("setp.lt.u32 %p1, %r0, 16;\n"
                                 "@%p1 bra ONE;\nbar.sync 0;\nbra END;\n"
                                 "ONE: bar.sync 0;\nEND:"),
                      32, report),
            CUDA_ERROR_LAUNCH_FAILED);
  EXPECT_NE(report.find("(lanes 0000ffff)"), std::string::npos) << report;
}

TEST_F(EmulatorTest, Trap) {
  std::string report;
  EXPECT_EQ(runToFail(makeKernel("trap;"), 1, report),
            CUDA_ERROR_LAUNCH_FAILED);
}

TEST_F(EmulatorTest, RefusesWhatItDoesNotKnow) {
  auto loadOnly = [](const std::string &image) {
    CUmodule module;
    return cu("cuModuleLoadData", &module,
              static_cast<const void *>(image.c_str()));
  };
  testing::internal::CaptureStderr();
  EXPECT_EQ(loadOnly(makeKernel("sin.approx.f32 %f1, %f2;")),
            CUDA_ERROR_INVALID_PTX);
  EXPECT_EQ(loadOnly(makeKernel("add.ftz.f32 %f1, %f2, %f3;")),
            CUDA_ERROR_INVALID_PTX);
  EXPECT_EQ(loadOnly(makeKernel("bra NOWHERE;")), CUDA_ERROR_INVALID_PTX);
  EXPECT_EQ(loadOnly(makeKernel("ld.global.b16 %f1, [%rd0];")),
            CUDA_ERROR_INVALID_PTX);
  std::string report = testing::internal::GetCapturedStderr();
  EXPECT_NE(report.find("line 14: 'sin.approx.f32': unsupported"),
            std::string::npos)
      << report;
  EXPECT_NE(report.find("'.ftz' is not supported here"), std::string::npos);
  EXPECT_NE(report.find("unknown label 'NOWHERE'"), std::string::npos);
  EXPECT_NE(report.find("'%f1' has 4 bytes, expected 2"), std::string::npos);
  EXPECT_EQ(loadOnly("\177ELF..."), CUDA_ERROR_NO_BINARY_FOR_GPU);
}

TEST_F(EmulatorTest, RefusesLaunches) {
  CUfunction function = load(makeKernel(""));
  Buffer<std::uint32_t> a(1), b(1);
  auto launchWith = [&](unsigned threads, unsigned sharedBytes) {
    return launch(function, 1, threads, sharedBytes, nullptr, a.address,
                  b.address);
  };
  EXPECT_EQ(launchWith(1025, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(launchWith(32, 100 << 10), CUDA_ERROR_INVALID_VALUE);
  must("cuFuncSetAttribute", function, 8, 100 << 10);
  EXPECT_EQ(launchWith(32, 100 << 10), CUDA_SUCCESS);
  EXPECT_EQ(cu("cuFuncSetAttribute", function, 8, 228 << 10),
            CUDA_ERROR_INVALID_VALUE);
}

} // namespace
