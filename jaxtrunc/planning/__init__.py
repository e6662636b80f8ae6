"""What a run will cost, told from shapes alone: work, memory and disk of every stage."""
