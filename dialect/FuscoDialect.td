//===- FuscoDialect.td - The fusco dialect: attributes and types ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The dialect, the layouts (tensor encodings), topology and placement, and the
// plan type. The operations are in FuscoOps.td.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_DIALECT_FUSCODIALECT_TD
#define FUSCO_DIALECT_FUSCODIALECT_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/TensorEncoding.td"

def Fusco_Dialect : Dialect {
  let name = "fusco";
  let cppNamespace = "::fusco";
  let summary = "layouts and shuffle intent of mixture-of-experts models";
  let description = [{
    Says *what* must move between the ranks of an expert-parallel group: which
    layout the rows have, which they shall have, by which routing, on which
    topology. It says nothing of how; passes decide that and write programs of
    the `pipe` dialect.

    ```mlir
    fusco.group @ep {experts = 64, topk = 6, max_tokens = 1024,
                     topology = <nodes = 1, ranks_per_node = 8>, placement = <block>}
    func.func @dispatch(%x: tensor<?x2048xbf16>, %ids: tensor<?x6xi32>, %w: tensor<?x6xf32>)
        -> (tensor<?x2048xbf16, #fusco.expert_major<align = 16>>, tensor<8xi32>, tensor<9xi32>,
            !fusco.plan<@ep>) {
      %plan = fusco.plan %ids, %w in @ep : tensor<?x6xi32>, tensor<?x6xf32> -> !fusco.plan<@ep>
      %rows, %counts, %offsets = fusco.dispatch %x by %plan
          : tensor<?x2048xbf16>, !fusco.plan<@ep>
          -> tensor<?x2048xbf16, #fusco.expert_major<align = 16>>, tensor<8xi32>, tensor<9xi32>
      return %rows, %counts, %offsets, %plan : // ...
    }
    ```

    Terms: a *rank* holds *tokens*, rows of `hidden` elements. The router gives
    each token `topk` *ids* of experts (-1: none) and as many weights; one
    (token, k) pair with an id >= 0 is an *assignment*. *Local experts* are
    those that the placement puts on a rank.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
}

//===----------------------------------------------------------------------===//
// Topology and placement
//===----------------------------------------------------------------------===//

class Fusco_Attr<string name, string attrMnemonic, list<Trait> traits = []>
    : AttrDef<Fusco_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

def Fusco_TopologyAttr : Fusco_Attr<"Topology", "topology"> {
  let summary = "nodes, ranks and links of a group";
  let description = [{
    Rank r is local rank r mod `ranks_per_node` on node r div `ranks_per_node`.
    Memory of the ranks of one node is addressable by each other (scale-up);
    nodes are joined by a network (scale-out).

    In GB/s (1e9 bytes), `memory_gbps` is what a rank reads and writes in its
    memory together, `scale_up_gbps` and `scale_out_gbps` what its links move per
    direction. 0 is the same as not given. Links without a speed are as fast as
    memory: a machine whose ranks share it. The cost model of plans compares
    speeds, so that only ratios matter.

    - (topology_c1) `nodes` and `ranks_per_node` are at least 1.
    - (topology_c2) there are at most 65536 ranks.
    - (topology_c3) speeds that are given are at least 1.
  }];
  let parameters = (ins "int64_t":$nodes, "int64_t":$ranks_per_node,
                        DefaultValuedParameter<"int64_t", "0">:$memory_gbps,
                        DefaultValuedParameter<"int64_t", "0">:$scale_up_gbps,
                        DefaultValuedParameter<"int64_t", "0">:$scale_out_gbps);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    int64_t getNumRanks() const { return getNodes() * getRanksPerNode(); }
  }];
}

def Fusco_PlacementBlock : I32EnumAttrCase<"Block", 0, "block">;
def Fusco_PlacementTable : I32EnumAttrCase<"Table", 1, "table">;
def Fusco_PlacementKind : I32EnumAttr<"PlacementKind",
    "how experts are laid over ranks", [Fusco_PlacementBlock, Fusco_PlacementTable]> {
  let cppNamespace = "::fusco";
  let genSpecializedAttr = 0;
}

def Fusco_PlacementAttr : Fusco_Attr<"Placement", "placement"> {
  let summary = "which rank holds which expert";
  let description = [{
    `block`: ranks in order hold consecutive experts, ceil(E / R) each of the
    first E mod R ranks and floor(E / R) each of the rest.

    `table`: there are E + `redundant` *physical experts*, which lie in blocks as
    those E would; fusco.plan takes a table that says which expert each of them
    is. An expert may be several of them, its *replicas*. What a rank has, its
    local experts, are then physical ones.

    - (placement_c1) `redundant` is at least 0, and 0 with `block`.
  }];
  let parameters = (ins EnumParameter<Fusco_PlacementKind>:$kind,
                        DefaultValuedParameter<"int64_t", "0">:$redundant);
  let assemblyFormat = "`<` $kind (`,` `redundant` `=` $redundant^)? `>`";
  let genVerifyDecl = 1;
}

//===----------------------------------------------------------------------===//
// Layouts
//===----------------------------------------------------------------------===//

class Fusco_Layout<string name, string attrMnemonic>
    : Fusco_Attr<name # "Layout", attrMnemonic, [
        DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]>;

def Fusco_TokenMajorLayout : Fusco_Layout<"TokenMajor", "token_major"> {
  let summary = "row t is token t of this rank";
  let description = [{
    What attention leaves and takes. A tensor without encoding means the same.
    - (layout_c1) a tensor with a layout of rows has the shape [rows, hidden],
      both at least 1 where they are static, hidden static.
  }];
}

def Fusco_DeviceSource : I32EnumAttrCase<"Source", 0, "source">;
def Fusco_DeviceDestination : I32EnumAttrCase<"Destination", 1, "destination">;
def Fusco_DeviceOrder : I32EnumAttr<"DeviceOrder",
    "which rank's number leads", [Fusco_DeviceSource, Fusco_DeviceDestination]> {
  let cppNamespace = "::fusco";
  let genSpecializedAttr = 0;
}

def Fusco_DeviceMajorLayout : Fusco_Layout<"DeviceMajor", "device_major"> {
  let summary = "one row per assignment, by device: what the wire wants";
  let description = [{
    `destination`: what a rank sends, in the order (destination rank, expert,
    token, k). `source`: what a rank received, in the order (source rank,
    expert, token, k). See layout_c1.
  }];
  let parameters = (ins EnumParameter<Fusco_DeviceOrder>:$order);
  let assemblyFormat = "`<` $order `>`";
}

def Fusco_RankMajorLayout : Fusco_Layout<"RankMajor", "rank_major"> {
  let summary = "one row per token and destination rank";
  let description = [{
    On the destination, rows in the order (source rank, token), once per token
    however many of the rank's experts want it. Which ones these are, and with
    what weights, travels as further tensors, if it is wanted; what comes back is
    one row for each, the experts' weighted sum. See layout_c1.
  }];
}

def Fusco_ExpertMajorLayout : Fusco_Layout<"ExpertMajor", "expert_major"> {
  let summary = "one row per assignment, by expert: what experts want";
  let description = [{
    On a rank, for its experts in ascending id: the segment starts at a multiple
    of `align` rows; its rows are in the order (source rank, token, k); rows
    between segments are zero, and so are those that round the end up to `align`.
    See layout_c1.
    - (expert_major_c1) `align` is from 1 to 65536.
  }];
  let parameters = (ins "int64_t":$align);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def Fusco_Overflow : I32EnumAttr<"Overflow", "what is done with rows that an expert has no slot for", [
    I32EnumAttrCase<"Error", 0, "error">,
    I32EnumAttrCase<"Drop", 1, "drop">]> {
  let cppNamespace = "::fusco";
  let genSpecializedAttr = 0;
}

def Fusco_OverflowParameter : EnumParameter<Fusco_Overflow> {
  let defaultValue = "::fusco::Overflow::Error";
}

def Fusco_ExpertSlotsLayout : Fusco_Layout<"ExpertSlots", "expert_slots"> {
  let summary = "a fixed number of rows per expert";
  let description = [{
    The shape [local experts, `capacity`, hidden], with as many experts as any
    rank has; inside an expert the order is that of expert_major, and what is
    behind an expert's rows is not written. Where an expert would get more rows,
    `overflow` says what becomes of them:
    - `error`: an error of the dispatch, on all ranks, before anything moves;
    - `drop`: the first `capacity` assignments in the order (source rank, token,
      k) have rows, and the others are as if their ids were -1.
    - (expert_slots_c1) `capacity` is at least 1.
    - (expert_slots_c2) a tensor with this layout has the shape
      [experts, capacity, hidden].
  }];
  let parameters = (ins "int64_t":$capacity, Fusco_OverflowParameter:$overflow);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

//===----------------------------------------------------------------------===//
// Plan
//===----------------------------------------------------------------------===//

def Fusco_HopScope : I32EnumAttr<"HopScope", "between which ranks a hop goes", [
    I32EnumAttrCase<"ScaleOut", 0, "scale_out">,
    I32EnumAttrCase<"ScaleUp", 1, "scale_up">]> {
  let cppNamespace = "::fusco";
  let genSpecializedAttr = 0;
}

def Fusco_Unique : I32EnumAttr<"Unique", "how often a token's row travels on a hop", [
    I32EnumAttrCase<"Assignment", 0, "assignment">,
    I32EnumAttrCase<"Rank", 1, "rank">,
    I32EnumAttrCase<"Node", 2, "node">]> {
  let cppNamespace = "::fusco";
  let genSpecializedAttr = 0;
}

def Fusco_HopMode : I32EnumAttr<"HopMode", "which end of a hop moves the rows", [
    I32EnumAttrCase<"Push", 0, "push">,
    I32EnumAttrCase<"Pull", 1, "pull">]> {
  let cppNamespace = "::fusco";
  let genSpecializedAttr = 0;
}

def Fusco_Forwarders : I32EnumAttr<"Forwarders",
    "who takes in what a node gets from another", [
    I32EnumAttrCase<"Rail", 0, "rail">,
    I32EnumAttrCase<"Groups", 1, "groups">,
    I32EnumAttrCase<"Balanced", 2, "balanced">]> {
  let cppNamespace = "::fusco";
  let genSpecializedAttr = 0;
}

def Fusco_ForwardersParameter : EnumParameter<Fusco_Forwarders> {
  let defaultValue = "::fusco::Forwarders::Rail";
}

def Fusco_HopAttr : Fusco_Attr<"Hop", "hop"> {
  let summary = "one step of a row's way";
  let description = [{
    - `scope`: `scale_out`, between a rank and its *forwarder* on another node;
      `scale_up`, between ranks of one node.
    - `unique`: how often a token's row travels on the hop: once per
      `assignment`, once per `rank` or once per `node` that it is wanted on.
    - `mode`: the sender writes (`push`) or the receiver reads (`pull`).
    - `wire`: the element type of rows on the hop. Where it changes, the sender
      of that hop converts.
    - `bytes_per_token`: bytes expected on links of this scope per token of a
      rank, with routing drawn uniformly.
    - `forwarders`, of a scale_out hop: who takes in, on a node, what tokens of
      another node need there. The load that is evened out is in *units*, pairs
      of a token and a node other than its own with experts of the token.
      - `rail`: the rank with the local number of the token's rank.
      - `groups`: each node sorts its ranks by their units, the most first, then
        by number, and shifts that list circularly by the node's number; those
        in one place of all nodes' lists forward for each other. (FUSCO, arXiv
        2512.22036.)
      - `balanced`: the units for a node, in the order of their ranks, tokens and
        numbered from 0, are dealt to its ranks in turn; unit i goes to local
        rank i mod ranks_per_node, and on the way through the rank of that local
        number in the token's own node, so that both ends of all links between
        nodes carry as much, within one unit per node at the sender and one at
        the forwarder.
      Which row ends where does not depend on it.

    ```mlir
    #fusco.hop<scope = scale_up, unique = rank, mode = push, wire = bf16, bytes_per_token = 20480>
    ```

    - (hop_c1) only a scale_out hop is unique per `node`.
    - (hop_c2) `wire` is bf16, f16, f32, f8E4M3FN, f8E5M2 or i32: of several tensors
      that travel together, the first one's.
    - (hop_c3) `bytes_per_token` is at least 0.
    - (hop_c4) only a scale_up hop per `assignment` is a `pull`.
    - (hop_c5) only a scale_out hop has other `forwarders` than `rail`.
  }];
  let parameters = (ins EnumParameter<Fusco_HopScope>:$scope,
                        EnumParameter<Fusco_Unique>:$unique,
                        EnumParameter<Fusco_HopMode>:$mode,
                        "::mlir::Type":$wire, "int64_t":$bytes_per_token,
                        Fusco_ForwardersParameter:$forwarders);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def Fusco_HopsAttr : TypedArrayAttrBase<Fusco_HopAttr, "hops, in order">;

def Fusco_PlanType : TypeDef<Fusco_Dialect, "Plan"> {
  let mnemonic = "plan";
  let summary = "where each row of one routing goes, and comes back from";
  let description = [{
    Made by `fusco.plan`, a value of one step and one rank. In the C ABI it is a
    `fusco_plan *`.
  }];
  let parameters = (ins "::mlir::FlatSymbolRefAttr":$group);
  let assemblyFormat = "`<` $group `>`";
}

#endif // FUSCO_DIALECT_FUSCODIALECT_TD
