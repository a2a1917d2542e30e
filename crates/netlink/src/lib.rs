//! A blocking, pipelined netlink socket with extended acknowledgements.
