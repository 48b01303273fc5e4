"""A trie in sorted arrays: vectorised steps, 8 bytes per node.

Node 0 is the root. A node's number is the rank of its edge (parent, symbol) among all edges plus one; since
levels are added in order, parents have smaller numbers than their children and the edges stay sorted.
"""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
# Result of `step` where there is no such child, and of a step from it.
NO_NODE = -1


class Trie:
    """Sequences of symbols, which are 0 to num_symbols - 1, added level by level."""

    def __init__(self, num_symbols: int) -> None:
        self.num_symbols = num_symbols
        self._keys: Ints = np.empty(0, dtype=np.int64)
        # First node of every level; the root is level 0. The last entry is the number of nodes.
        self.starts = [0, 1]

    @property
    def num_nodes(self) -> int:
        """Number of nodes, with the root."""
        return self.starts[-1]

    @property
    def num_levels(self) -> int:
        """Number of levels below the root."""
        return len(self.starts) - 2

    def add_level(self, parents: Ints, symbols: Ints) -> Ints:
        """Return nodes at the end of edges from nodes of the deepest level, all (N,); equal edges share a node."""
        assert np.all((parents >= self.starts[-2]) & (parents < self.starts[-1]))
        keys, ranks = np.unique(parents * self.num_symbols + symbols, return_inverse=True)
        nodes: Ints = self.num_nodes + ranks.astype(np.int64)
        self._keys = np.concatenate([self._keys, keys])
        self.starts.append(self.num_nodes + len(keys))
        return nodes

    def level(self, level: int) -> tuple[Ints, Ints]:
        """Return parents and symbols of a level's nodes, in the order of the nodes; 1 = children of the root."""
        keys = self._keys[self.starts[level] - 1 : self.starts[level + 1] - 1]
        parents, symbols = np.divmod(keys, self.num_symbols)
        return parents, symbols

    def step(self, nodes: Ints, symbols: Ints) -> Ints:
        """Return children of nodes or `NO_NODE`, any shape, by symbols that broadcast; `NO_NODE` where none is."""
        keys = nodes * self.num_symbols + symbols  # below 0 from NO_NODE, so that no edge matches
        if not len(self._keys):
            return np.full(keys.shape, NO_NODE, dtype=np.int64)
        ranks = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[ranks] == keys, ranks + 1, NO_NODE)

    def find(self, rows: Ints) -> Ints:
        """Return the node at the end of each sequence (N, L) from the root, (N,); `NO_NODE` where the trie lacks it."""
        nodes = np.zeros(len(rows), dtype=np.int64)
        for symbols in rows.T:
            nodes = self.step(nodes, symbols)
        return nodes
