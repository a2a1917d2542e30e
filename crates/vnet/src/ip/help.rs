//! What `help` says. The grammar is described in `ip(8)` and its pages; this is a reminder.

pub(super) const IP: &str = "\
vnet ip does what iproute2's `ip` does, without a process of its own:
  ip [OPTIONS] OBJECT COMMAND [ARGUMENTS]
Objects:  link, address, route, rule, neighbour, nexthop, netns, tuntap, maddress, monitor
Options:  -n NAME  in that namespace      -4 -6 -0  the family
          -d -s -o -br  more or less      -j [-p]   JSON      -c  colours
          -batch FILE [-force | --atomic]  many commands, one a line
Words may be abbreviated. `ip OBJECT help` lists the commands of an object.";

pub(super) const BRIDGE: &str = "\
vnet bridge does what iproute2's `bridge` does, without a process of its own:
  bridge [OPTIONS] OBJECT COMMAND [ARGUMENTS]
  link show [dev NAME] | set dev NAME [cost N] [priority N] [state S] [hairpin | guard | learning
      | flood | isolated | … on | off] [self] [master]
  fdb show [br NAME] [dev NAME] [vlan N] [state S] | add | append | replace | del MAC dev NAME
      [dst ADDRESS] [vni N] [self | master] [static | dynamic | permanent] | get | flush
  vlan show [dev NAME] [vid N] | add | del vid N[-N] dev NAME [pvid] [untagged] [self] | set
      | tunnelshow | global
  mdb show [dev NAME] | add | del dev NAME port NAME grp GROUP [src ADDRESS] [permanent] [vid N]
  monitor [link | fdb | mdb | vlan | all]
Options:  -n NAME  in that namespace   -d -s -o  more or less   -j [-p]  JSON
          -compressvlans   -batch FILE [-force]";

pub(super) const LINK: &str = "\
ip link: interfaces
  show [[dev] NAME] [up] [type KIND] [master NAME | nomaster] [group N]
  add [name] NAME [link NAME] [address MAC] [mtu N] … type KIND [OPTIONS]
      kinds with options: veth, netkit, bridge, macvlan, macvtap, vxlan; without: dummy, ifb, …
  set NAME [up | down] [name NEW] [mtu N] [address MAC] [master NAME | nomaster]
      [netns NAME | PID] [alias TEXT] [txqueuelen N] [group N] [type KIND OPTIONS] …
  del NAME
  property add | del dev NAME altname NAME";

pub(super) const ADDRESS: &str = "\
ip address: addresses of interfaces
  show [[dev] NAME] [up] [to PREFIX] [scope SCOPE] [label PATTERN] [FLAG] …
  add | change | replace PREFIX [peer PREFIX] [broadcast ADDRESS | + | -] [label TEXT]
      [scope SCOPE] [metric N] [valid_lft N] [preferred_lft N] [nodad] … dev NAME
  del PREFIX dev NAME
  flush [dev NAME] [to PREFIX] …";

pub(super) const ROUTE: &str = "\
ip route: routing tables
  show [PREFIX | root PREFIX | match PREFIX] [table N | all] [dev NAME] [via ADDRESS]
      [proto P] [scope S] [type T]
  get ADDRESS [from ADDRESS] [iif NAME] [oif NAME] [mark N] [fibmatch] …
  add | replace | append | prepend | change | test | del [TYPE] PREFIX
      [via [inet6] ADDRESS] [dev NAME] [onlink] [src ADDRESS] [metric N] [table N]
      [proto P] [scope S] [mtu N] [nexthop via ADDRESS dev NAME weight N] …
  flush SELECTION";

pub(super) const NEIGHBOUR: &str = "\
ip neighbour: which hardware address is behind an IP address
  show [PREFIX] [dev NAME] [nud STATE | all] [proxy]
  add | change | replace | del ADDRESS [lladdr MAC] [nud STATE] [router] [proto P] dev NAME
  add | del proxy ADDRESS dev NAME
  get ADDRESS dev NAME
  flush SELECTION";

pub(super) const RULE: &str = "\
ip rule: which routing table a packet is looked up in
  show [pref N] [table N] [from PREFIX] [to PREFIX] [iif NAME] [oif NAME]
  add | del [not] [from PREFIX] [to PREFIX] [iif NAME] [oif NAME] [fwmark N[/MASK]]
      [tos N] [uidrange N-M] [ipproto P] [sport N[-M]] [dport N[-M]] [pref N]
      [lookup TABLE | blackhole | unreachable | prohibit | goto N | nop]
  flush";

pub(super) const NEXTHOP: &str = "\
ip nexthop: next hops as objects of their own
  show [id N] [dev NAME] [master NAME] [groups] [fdb] [proto N]
  add | replace id N [via ADDRESS] [dev NAME] [onlink] [blackhole] [fdb] [proto P]
  add | replace id N group ID[,WEIGHT]/… [type mpath | type resilient [buckets N] …] [fdb]
  del id N | get id N | flush [SELECTION] | bucket [list | get id N index N]";

pub(super) const TUNTAP: &str = "\
ip tuntap: TUN and TAP devices that last
  show | add | del [dev] NAME mode tun | tap [user USER] [group GROUP] [pi] [vnet_hdr]
      [multi_queue] [one_queue]";

pub(super) const MADDRESS: &str = "\
ip maddress: multicast addresses that interfaces listen to
  show [dev NAME] | add MAC dev NAME | del MAC dev NAME";

pub(super) const MONITOR: &str = "\
ip monitor: what changes, as it changes
  [all | link | address | route | neigh | rule | nexthop | nsid] … [label] [all-nsid] [dev NAME]";

pub(super) const NETNS: &str = "\
ip netns: named network namespaces
  list | add NAME | del NAME | set NAME ID | exec NAME COMMAND … | identify [PID] | pids NAME
  attach NAME PID | monitor | list-id; -all del, -all exec COMMAND … for all of them";
