"""Compare pictures by hashes and keypoints."""
