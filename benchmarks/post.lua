-- wrk's part of a measurement: post one file's bytes over and over, then print the counts on one line.

function init(args)
  local file = assert(io.open(args[1], "rb"))
  wrk.method = "POST"
  wrk.body = file:read("*all")
  file:close()
end

function done(summary)
  local e = summary.errors
  print(string.format("COUNTED requests=%d microseconds=%d failed=%d",
    summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout))
end
