"""What the page says around its tables."""

from steering.cells import FEWER_SEEDS, RATES, SEEDS, STEPS, TUNING_SEED, WEIGHTS

HEAD = f"""# Steering in the small: four tasks, eight methods

Does SIFT ([steer.md](steer.md)) trade two aims for each other better than its rivals? Here on four synthetic tasks and a decoder
of two layers of width 64, where everything is made anew from seeds:

    python benchmarks/steer_grid.py      # {{minutes:.0f}} minutes of CPU time, on two cores; can be stopped and started again
    python benchmarks/steer_page.py      # this page and its plots, from benchmarks/results/steer/grid.json

**What this is not.** The published figures of SIFT (arXiv 2604.04231; unlearning, extraction 9.3 → 5.4 % against BLUR; safety
35.8 → 42.8 %; speech 69.6 → 77.4 %; hallucination 44.3 → 32.7 %) need models of 7 to 9 B parameters, external data and a judge
model, none of which is used here. The other baselines' published values, the overheads, ε and K of each table are not known to
us. Nothing on this page is a replication, and no result below, for or against a method, carries over to such models by itself.

**How.** {STEPS} steps of 16 rows; all parameters trained, embeddings, head and norms by AdamW; joint clipping at 1. Every method
has the same budget: learning rates {', '.join(f'{rate:g}' for rate in RATES)} on seed {TUNING_SEED}, of which the one is taken
whose validation split has the best mean of the two metrics that are traded for each other (the first two of each table, turned
so that more is better). Then it is run on seeds {SEEDS[0]} to {SEEDS[-1]} and measured on the test splits. A seed decides the
world, the base model and the order of rows, so differences to the weighted sum with Muon are paired; they have 95 % t-intervals
over the five seeds, not corrected for there being many of them. *Better* and *worse* are intervals without 0, everything else is
undecided. A method that is better in one of the two traded metrics and worse in the other has moved along the front and not
beyond it. SIFT: K = 4, threshold 0; always on: no threshold. It had no other tuning.
"""
TASKS = {
    "unlearning": """NPO on the facts of a tenth of 60 subjects; cross-entropy on those of half of the others. `retain_accuracy` is
on subjects that no batch held, chance is 1/24; `grammar_perplexity` is on sentences that no batch held either.""",
    "safety": """DPO (β = 0.1) for refusing what a tool and a target together make a hazard; cross-entropy on benign prompts, one in
eight of which holds a tool or a target alone. Half of `benign_accuracy` and all of `over_refusal` is on such borderline prompts;
pairs of tool and target in the test split are in no batch.""",
    "second_modality": """Cross-entropy on 13 text tokens and on the 26 codec tokens that stand for them. Only one of two registers
of text is ever spoken; `text_accuracy` and `text_drift` (KL from the base, nats) are on both.""",
    "hallucination": """Unlikelihood of what the base makes up where the context lacks the fact; cross-entropy on supported answers
and on abstaining. The test split asks for subjects on which no batch abstained.""",
}
PLOT = f"""Large points: the table's settings with their intervals. Small ones: the constraint's weight at {WEIGHTS[0]:g} and
{WEIGHTS[-1]:g}, joined by a line (the larger the point, the larger the weight), and the other learning rates, each over
{len(FEWER_SEEDS)} seeds. Dotted: the front of all settings."""
GATES = """## Where SIFT fires

![Share of matrices that fire, by layer and step](images/steer_fired.png)

Means over seeds, steps and matrices that fired. Cosine: of the two momenta. Interference (STI, over the number of pairs): of both,
and of the orthogonalised halves that make the update, where what is left comes from what `rcond` cuts. Rank used: of 2K = 8
directions. `align`: ⟨M, O⟩ over the nuclear norm of M, 1 for a whole polar factor.
"""
ABLATIONS = """## SIFT with one thing changed

Against SIFT at the same learning rate, paired over the same seeds. `v0`: never a shared basis, always the sum of both polar
factors. Random gate: all matrices fire at steps drawn at the rate at which SIFT's gate was open.
"""
TIMES = """## Time

CPU time of a run whose program was compiled before, measures, log and checkpoint among it, as a multiple of that of the weighted
sum with Muon; median over seeds. The runs did not take turns, so these are rough. At this size the optimiser's own work weighs more
than in a real model; [benchmarks](../benchmarks/RESULTS.md) has steps in turn, of kernels of a 0.5B model.
"""
