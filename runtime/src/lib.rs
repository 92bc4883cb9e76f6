//! octrt: CPU inference runtime for convolutional networks.
