"""What every room stands on: errors, trees, files, meshes. Imports no other room."""
