"""What Spatial and Channel Reconstruction Convolution (SCConv, CVPR 2023) buys, where, and at what cost."""
