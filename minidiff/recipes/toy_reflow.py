"""toy-reflow: a small network learns the straightened flow of a 2-D mixture, from pairs that the exact flow makes."""

from minidiff.data.batches import Batches
