// RUN: fusco-opt %s --fusco-plan-direct -split-input-file | FileCheck %s
// RUN: fusco-opt %s --fusco-plan-pipeline -split-input-file | FileCheck %s

// What was decided stands in the module.
// CHECK: module attributes {fusco.decisions = [{choice = "direct", reason = "{{.+}}", subject = "hops"}]}
fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 2, ranks_per_node = 2>, placement = <block>}

// CHECK-LABEL: func.func @dispatch
func.func @dispatch(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // CHECK: fusco.dispatch {{.*}} hops [#fusco.hop<reach = all, unique = assignment>]
  %0:3 = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> tensor<?x16xbf16, #fusco.expert_major<align = 1>>, tensor<2xi32>, tensor<3xi32>
  return
}

// CHECK-LABEL: func.func @combine
func.func @combine(%y: tensor<?x16xbf16, #fusco.expert_major<align = 1>>, %plan: !fusco.plan<@ep>) {
  // CHECK: fusco.combine {{.*}} weighted hops [#fusco.hop<reach = all, unique = assignment>]
  %0 = fusco.combine %y by %plan weighted
    : tensor<?x16xbf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return
}

// The unfused form has no hops to plan.
// CHECK-LABEL: func.func @permute
func.func @permute(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // CHECK: fusco.permute
  // CHECK-NOT: hops
  %0 = fusco.permute %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> tensor<?x16xbf16, #fusco.device_major<destination>>
  return
}

// -----

// Hops that are there stay, and nothing has been decided.
// CHECK: module {
fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 2, ranks_per_node = 2>, placement = <block>}
// CHECK-LABEL: func.func @planned
func.func @planned(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // CHECK: fusco.dispatch {{.*}} hops [] :
  %0:3 = fusco.dispatch %x by %plan hops [] : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> tensor<?x16xbf16, #fusco.expert_major<align = 1>>, tensor<2xi32>, tensor<3xi32>
  return
}
