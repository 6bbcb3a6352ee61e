"""Read pictures, videos, sounds and documents, in a sandboxed child process."""
