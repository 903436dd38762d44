//! Points, their limits per category, and their codecs.
