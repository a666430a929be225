-- A ConfigMap with a name of its own a request; TOKEN and RUN come from the environment.
local thread_count = 0
function setup(thread)
  thread:set("id", thread_count)
  thread_count = thread_count + 1
end
local count = 0
local value = string.rep("x", 256)
function request()
  count = count + 1
  local name = string.format("cm-%s-%d-%d", os.getenv("RUN"), id, count)
  local body = string.format(
    '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"%s"},"data":{"key":"%s"}}',
    name, value)
  local headers = {
    ["Authorization"] = "Bearer " .. os.getenv("TOKEN"),
    ["Content-Type"] = "application/json",
  }
  return wrk.format("POST", "/api/v1/namespaces/default/configmaps", headers, body)
end
local bad = 0
function response(status)
  if status ~= 201 then bad = bad + 1 end
end
