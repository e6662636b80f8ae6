"""Tasks from real data: TOFU, AdvBench with XSTest, SelfAware; teacher-forced measures, nothing is generated."""
