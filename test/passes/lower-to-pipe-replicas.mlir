// Experts placed by a table: counts that ranks tell each other are of experts, rows
// are of physical ones.
// RUN: fusco-opt %s --fusco-plan-dedup --fusco-lower-to-pipe --canonicalize --cse | FileCheck %s
// With several nodes and forwarders by load, units are told once replicas are chosen.
// RUN: sed 's/nodes = 1, ranks_per_node = 4/nodes = 2, ranks_per_node = 2/' %s \
// RUN:   | fusco-opt --fusco-plan-pipeline="forwarders=balanced" --fusco-lower-to-pipe --canonicalize --cse \
// RUN:   | FileCheck %s --check-prefix=NODES
// NODES: pipe.buffer @dispatch_headers : memref<2x4x42xi32>
// NODES: pipe.channel @units_exchanged phase plan link scale_out lanes 4 depth 2 freed_by rounds
// NODES: pipe.buffer @unit_headers : memref<2x4x34xi32>
// NODES: pipe.put @dispatch_headers
// NODES: pipe.put @unit_headers
// NODES: pipe.assign

fusco.group @ep {experts = 10, topk = 2, max_tokens = 32,
                 topology = <nodes = 1, ranks_per_node = 4>, placement = <table, redundant = 3>}

// CHECK:      pipe.buffer @dispatch_headers : memref<2x4x42xi32> symmetric
// CHECK:      pipe.buffer @histogram : memref<11xi32> symmetric
// CHECK:      pipe.buffer @totals : memref<13xi32> plan
// CHECK:      pipe.buffer @placed_counts : memref<4x13xi32> plan
// CHECK:      pipe.buffer @replica_starts : memref<11xi32> symmetric
// CHECK-NEXT: pipe.buffer @replicas : memref<13xi32> symmetric
// CHECK-LABEL: pipe.program @dispatch
// CHECK-SAME: %[[IDS:[^:]*]]: memref<?x2xi32> {pipe.name = "ids"}, %[[TABLE:[^:]*]]: memref<13xi32> {pipe.name = "placement"}
func.func @dispatch(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>, %table: tensor<13xi32>)
    -> (tensor<?x16xbf16, #fusco.expert_major<align = 8>>, !fusco.plan<@ep>) {
  // A bad table fails as bad ids do, and so does one that is not the others'.
  // CHECK:      pipe.histogram %[[IDS]]
  // CHECK:      memref.load %[[TABLE]]
  // CHECK:      pipe.put @dispatch_headers
  // CHECK:      pipe.fail_if %{{.*}}, invalid_routing(
  // CHECK:      pipe.fail_if %{{.*}}, invalid_routing(
  // CHECK:      pipe.fail_if %{{.*}}, peer_failed(
  // CHECK:      pipe.fail_if %{{.*}}, invalid_routing(
  // One thread divides; then an assignment's number among its expert's says which
  // replica it goes to.
  // CHECK:      pipe.for_each %c0 to %c1 {
  // CHECK:        scf.while
  // CHECK:      pipe.assign %[[IDS]] {{.*}} ranks 1 per_node 1
  // CHECK:      %[[ALL:.*]] = pipe.local @planned_ids
  // CHECK:      %[[PHYSICAL:.*]] = memref.subview %[[ALL]]
  // CHECK:      pipe.place %{{.*}} : memref<4x13xi32>
  // CHECK:      pipe.assign %[[PHYSICAL]] {{.*}} ranks 4 per_node 4
  %plan = fusco.plan %ids placed %table in @ep : tensor<?x2xi32> placed tensor<13xi32> -> !fusco.plan<@ep>
  %rows, %counts, %offsets = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> tensor<?x16xbf16, #fusco.expert_major<align = 8>>, tensor<4xi32>, tensor<5xi32>
  return %rows, %plan : tensor<?x16xbf16, #fusco.expert_major<align = 8>>, !fusco.plan<@ep>
}
