"""Workers for genlab from SLURM: start a scheduler here, ask SLURM for workers as they are needed,
print the address.

    pip install dask-jobqueue
    python book/slurm.py --queue gpu --workers 8 --gpu
    genlab run --all --profile full --scheduler tcp://HOST:PORT

Leave the first running (--show prints the job script instead), and give the second, in another
terminal, the address that it printed.

Run it with the Python of this checkout's environment, in a folder that the compute nodes see at the
same place.
"""

import argparse
import signal
import sys

from dask_jobqueue import SLURMCluster


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--queue", help="SLURM partition")
    parser.add_argument("--account", help="SLURM account")
    parser.add_argument("--workers", type=int, default=4, help="the most jobs at a time")
    parser.add_argument("--cores", type=int, default=2, help="sections at a time in each job")
    parser.add_argument("--memory", default="12GiB", help="of each job: 5 GiB a section is enough")
    parser.add_argument("--walltime", default="04:00:00", help="of each job")
    parser.add_argument(
        "--interface", help="network interface the nodes reach each other by, such as ib0"
    )
    parser.add_argument(
        "--gpu", action="store_true", help="ask for one GPU a job, for the sections that want one"
    )
    parser.add_argument("--show", action="store_true", help="print the job script and stop")
    a = parser.parse_args()
    cluster = SLURMCluster(
        queue=a.queue,
        account=a.account,
        cores=a.cores,
        processes=1,
        memory=a.memory,
        walltime=a.walltime,
        interface=a.interface,
        python=sys.executable,
        job_extra_directives=["--gres=gpu:1"] if a.gpu else [],
        worker_extra_args=["--resources", "GPU=1"] if a.gpu else [],
        scheduler_options={"dashboard": False},
    )
    if a.show:
        print(cluster.job_script())
        return
    cluster.adapt(minimum=0, maximum=a.workers)
    print(cluster.scheduler_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
