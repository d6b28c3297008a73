// Kernels: what blocks and ranks wait for, how rows travel, and that nothing is
// left for a host to do.
// RUN: fusco-import --name m --hidden 256 --experts 8 --topk 2 --nodes 1 --ranks-per-node 4 --max-tokens 64 -o %t.mlir
// RUN: fusco-compile %t.mlir --target sm_90 --no-baseline --emit ptx -o - | FileCheck %s
// RUN: fusco-opt %t.mlir --fusco-cuda-pipeline=threads-per-block=64 | FileCheck %s --check-prefix=KERNELS

// KERNELS: llvm.mlir.global internal constant @fusco_library_info(
// KERNELS: gpu.module @kernels {
// KERNELS: llvm.func @dispatch(%{{.*}}: !llvm.ptr {llvm.align = 8 : i64, llvm.byval = !llvm.array<280 x i8>, nvvm.grid_constant}) attributes {nvvm.kernel, nvvm.minctasm = 1 : i32, nvvm.reqntid = array<i32: 64, 1, 1>
// KERNELS: llvm.func internal @dispatch$team0(

// CHECK: .target sm_90
// CHECK: .visible .entry dispatch(
// CHECK-NEXT: .param .align 8 .b8 dispatch_param_0[280]
// CHECK: .reqntid 384, 1, 1
// CHECK-NEXT: .minnctapersm 1
// The arguments stay where the launch put them.
// CHECK-NOT: __local_depot
// CHECK: %ctaid.x
// The other blocks wait for teams.
// CHECK-DAG: ld.acquire.gpu.b64
// CHECK-DAG: st.release.gpu.b64
// CHECK-DAG: red.release.gpu.add.u64
// Ranks count arrivals and wait for them, with an eye on the clock.
// CHECK-DAG: red.release.sys.add.u64
// CHECK-DAG: ld.acquire.sys.b64
// CHECK-DAG: globaltimer
// CHECK-DAG: nanosleep.u32
// CHECK-DAG: bar.red.or.pred
// A row is read once and written once for each destination.
// CHECK-DAG: cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes
// CHECK-DAG: cp.async.bulk.global.shared::cta.bulk_group
// CHECK-DAG: cp.async.bulk.wait_group 0
// CHECK-DAG: fence.proxy.async
// CHECK-DAG: match.any.sync.b32
// CHECK: .visible .entry combine(
// CHECK: ld.global.v4
// CHECK: fma.rn.f32
// CHECK: cvt.rn.bf16x2.f32
