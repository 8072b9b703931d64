"""Links a table of records with splink; run as a program, in an environment of its own.

`python splink_job.py records.csv clusters.csv` reads one record a row, and writes the cluster of each record at each
threshold. It learns without labels. Nothing of the project is imported here.
"""

import csv
import sys
from pathlib import Path
from typing import Final

import duckdb  # type: ignore[import-not-found, unused-ignore]
import splink.comparison_library as cl  # type: ignore[import-not-found, unused-ignore]
from splink import DuckDBAPI, Linker, SettingsCreator, block_on  # type: ignore[import-not-found, unused-ignore]

THRESHOLDS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.9, 0.99)
# Records of one brand are compared where they agree in one of these.
_IDENTIFIERS: Final = ("crm", "account", "email", "phone", "loyalty", "device", "cookie")
# Records that agree in one of these are almost surely one person's, and show about so much of all true pairs.
_CERTAIN: Final = ("crm", "account", "email", "loyalty")
_CERTAIN_RECALL: Final = 0.5
# Enough for probabilities of chance agreement, in seconds.
_RANDOM_PAIRS_MAX: Final = 2_000_000
_SEED: Final = 1
# The level of Python's logging.
_ERRORS_ONLY: Final = 40


def link(records_file: Path, clusters_file: Path) -> None:
    """Train, predict, and write the clusters at each threshold."""
    connection = duckdb.connect()
    connection.execute(
        "create table records as select * from read_csv(?, header = true, all_varchar = true)", [str(records_file)]
    )
    linker = Linker(DuckDBAPI(connection).register("records"), _settings(), log_level=_ERRORS_ONLY)
    training = linker.training
    training.estimate_probability_two_random_records_match(
        [block_on("realm", name) for name in _CERTAIN], recall=_CERTAIN_RECALL
    )
    training.estimate_u_using_random_sampling(max_pairs=_RANDOM_PAIRS_MAX, seed=_SEED)
    for name in ("email", "cookie", "crm"):
        training.estimate_parameters_using_expectation_maximisation(
            block_on("realm", name), record_sample_proportion=1.0
        )
    predicted = linker.inference.predict(threshold_match_probability=min(THRESHOLDS))
    with clusters_file.open("w", newline="") as file:
        writer = csv.writer(file)
        for threshold in THRESHOLDS:
            clusters = linker.clustering.cluster_pairwise_predictions_at_threshold(predicted, threshold)
            for row in clusters.as_record_list():
                writer.writerow([threshold, row["unique_id"], row["cluster_id"]])


def _settings() -> SettingsCreator:
    by_value = [
        cl.ExactMatch(name).configure(term_frequency_adjustments=True) for name in _IDENTIFIERS if name != "email"
    ]
    return SettingsCreator(
        link_type="dedupe_only",
        comparisons=[
            *by_value,
            # An address with a typo in it is what splink can find and an exact comparison can't.
            cl.EmailComparison("email"),
            cl.ForenameSurnameComparison("first_name", "last_name"),
            cl.ExactMatch("city").configure(term_frequency_adjustments=True),
        ],
        blocking_rules_to_generate_predictions=[
            *(block_on("realm", name) for name in _IDENTIFIERS),
            block_on("realm", "first_name", "last_name", "city"),
        ],
        retain_intermediate_calculation_columns=False,
    )


if __name__ == "__main__":
    link(Path(sys.argv[1]), Path(sys.argv[2]))
