# What each task of the array does: one run, until it is done, has failed too often, or has to resume in another job.
# Every process that it starts is of this job, and ends with it.

IFS=$'\t' read -r folder by_hand < <(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" "$list")
launched=$folder/$launched results=$folder/$results log=$folder/$log attempts=$folder/$attempts
job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
export PYTHONUNBUFFERED=1 # the log is where a run's progress is read

warned='' cancelled=''
trap 'warned=1' USR1    # the time limit is near, or another job takes this one's place
trap 'cancelled=1' TERM # SLURM ends the job, and starts it again itself where that is due

say() {
  echo "$(date '+%F %T')  $folder  $*"
}

failures() {
  "$python" -m scconv_lab.run_folder.attempts "$folder"
}

requeue() {
  if [ "${SLURM_RESTART_COUNT:-0}" -ge "$most_restarts" ]; then
    say "was started again $most_restarts times, which is the limit; scconv-lab sweep submits it anew"
    exit 1
  fi
  say "resumes in a new job: $1"
  scontrol requeue "$job" || exit 1
  exit 0
}

# Asks the run's own processes on this node, which tell those on others. What scancel and srun send reaches the workers of
# data loaders and W&B's service as well, and they die of it.
ask_to_end() {
  local processes number='^[0-9]+$'
  processes=$(scontrol listpids "$SLURM_JOB_ID" "$SLURMD_NODENAME" |
    awk -v number="$number" '$3 ~ number && $4 ~ number { print $1 }')
  # shellcheck disable=SC2086 # several words
  [ -n "$processes" ] && kill -TERM $processes
}

# What SLURM said first of this attempt tells why it ended. It ends the other tasks of one that fails, and srun passes on
# the highest exit code; and a signal of its own kills the workers of data loaders, of which a run crashes.
why_ended() {
  local first
  first=$(tail -c "+$1" "$log" | sed -n \
    -e 's/^srun: error: .*: tasks\{0,1\} [-,0-9]*: //p' -e 's/^slurmstepd.*: error: \*\*\* STEP .* CANCELLED.*/Terminated/p' |
    head -n 1)
  case $first in
    "Exited with exit code "*) code=${first##* } ;;
    Terminated*) code=143 ;;
    Killed* | "Out Of Memory"*) code=-9 ;;
    ?*) code=1 ;;
  esac
}

# Sets `code`; to nothing if the run did not end in time.
fit() {
  local began=$SECONDS asked='' waited=0 srun start
  printf '\n$ scconv-lab fit --config %s\n# by hand: scconv-lab %s\n' "$launched" "$by_hand" >> "$log"
  start=$(($(wc -c < "$log") + 1))
  # srun does not take over how many CPUs the job has for a task
  srun --kill-on-bad-exit=1 ${SLURM_CPUS_PER_TASK:+"--cpus-per-task=$SLURM_CPUS_PER_TASK"} \
    "${scconv_lab[@]}" fit --config "$launched" >> "$log" 2>&1 < /dev/null &
  srun=$!
  while kill -0 "$srun" 2> /dev/null; do
    if [ -n "$warned" ]; then
      [ -n "$asked" ] || { ask_to_end && asked=1; }
      [ "$((waited += 1))" -le "$seconds_to_end" ] || { code='' && return; }
    fi
    sleep 1
  done
  wait "$srun"
  code=$?
  [ "$code" -eq 0 ] || why_ended "$start"
  [ -z "$cancelled" ] || [ -e "$results" ] || code=143 # srun passes on 0 where a node is lost
  printf '{"code": %d, "seconds": %d, "launcher": "slurm", "job": "%s"}\n' "$code" "$((SECONDS - began))" "$job" \
    >> "$attempts"
}

while [ ! -e "$results" ]; do
  [ "$(failures)" -lt "$most_failures" ] || { say "has failed; its log is $log" && exit 1; }
  [ -z "$warned" ] || requeue "this one is about to end"
  say "starts"
  fit
  if [ -n "$cancelled" ]; then
    say "was ended by SLURM" && exit 1
  elif [ -e "$results" ]; then
    break
  elif [[ ! $code =~ ^($in_order)?$ ]]; then
    say "fails with exit code $code"
  else
    requeue "${code:+exit code }${code:-it did not end in time}"
  fi
done
say "is done"
