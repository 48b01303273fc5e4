"""Media: decode audio and video of any format; convert recordings; cut mouth clips (`mouth`)."""
