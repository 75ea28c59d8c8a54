"""What the server's figures are held against, measured in the same run."""
