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
    """Sequences of symbols, added level by level.

    Args:
        num_symbols: number of symbols, which are 0 to num_symbols - 1.
    """

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
        """Add children to the nodes of the deepest level; equal edges lead to the same node.

        Args:
            parents: nodes of the deepest level, (N,).
            symbols: symbol of each edge, (N,).

        Returns:
            Node at the end of each edge, (N,).
        """
        assert np.all((parents >= self.starts[-2]) & (parents < self.starts[-1]))
        keys, ranks = np.unique(parents * self.num_symbols + symbols, return_inverse=True)
        nodes: Ints = self.num_nodes + ranks.astype(np.int64)
        self._keys = np.concatenate([self._keys, keys])
        self.starts.append(self.num_nodes + len(keys))
        return nodes

    def level(self, level: int) -> tuple[Ints, Ints]:
        """List the edges into the nodes of a level.

        Args:
            level: number of the level; 1 = children of the root.

        Returns:
            Parents and symbols of the level's nodes, in the order of the nodes.
        """
        keys = self._keys[self.starts[level] - 1 : self.starts[level + 1] - 1]
        parents, symbols = np.divmod(keys, self.num_symbols)
        return parents, symbols

    def step(self, nodes: Ints, symbols: Ints) -> Ints:
        """Follow one edge from each node.

        Args:
            nodes: nodes or `NO_NODE`, any shape.
            symbols: symbols, of a shape that broadcasts.

        Returns:
            Children, `NO_NODE` where there is none.
        """
        keys = nodes * self.num_symbols + symbols  # below 0 from NO_NODE, so that no edge matches
        if not len(self._keys):
            return np.full(keys.shape, NO_NODE, dtype=np.int64)
        ranks = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[ranks] == keys, ranks + 1, NO_NODE)

    def find(self, rows: Ints) -> Ints:
        """Follow whole sequences from the root.

        Args:
            rows: symbols, (N, L).

        Returns:
            Node at the end of each sequence, (N,); `NO_NODE` for sequences that are not in the trie.
        """
        nodes = np.zeros(len(rows), dtype=np.int64)
        for symbols in rows.T:
            nodes = self.step(nodes, symbols)
        return nodes
