// RUN: fusco-opt %s --pipe-ops-to-cuda=threads-per-block=512 --canonicalize --cse | FileCheck %s

// A row has arrived when the bulk copies of all lanes have ended; then one lane counts it.
// CHECK-LABEL: pipe.program @arrive
pipe.program @arrive(%x: memref<?x64xbf16> {pipe.name = "x"}, %table: memref<4xi64> {pipe.name = "a"}) {
  %c0 = arith.constant 0 : index
  %rows = memref.dim %x, %c0 : memref<?x64xbf16>
  %address = memref.load %table[%c0] : memref<4xi64>
  // CHECK: cp.async.bulk.global.shared::cta
  // CHECK: nvvm.cp.async.bulk.wait_group 0{{$}}
  // CHECK-NEXT: "fence.proxy.async;"
  // CHECK: nvvm.bar.warp.sync
  // CHECK: "fence.acq_rel.sys;"
  // CHECK: scf.if
  // CHECK: "red.relaxed.sys.global.add.u32 [$0], 1;"
  pipe.for_each %c0 to %rows {
  ^bb0(%row: index):
    pipe.store_row %x[%row] to %x[%c0] : memref<?x64xbf16> to memref<?x64xbf16>
    pipe.fence
    pipe.arrive %address[%row]
  }
  // A program's own fence is left to what lowers programs.
  // CHECK: pipe.fence
  // CHECK: "red.relaxed.sys.global.add.u32 [$0], 1;"
  pipe.fence
  pipe.arrive %address[%c0]
  pipe.return
}
