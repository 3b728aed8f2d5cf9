-- `filter lua.upload_time <seconds>`: a request whose body has not arrived by then is answered 400, like a truncated one.
-- HAProxy 2.8 limits how long a client may be silent, but not the total time of its upload.
-- A payload callback can end a request only with an error (hlua_filter_http_payload in src/hlua.c).

local UploadTime = { id = "upload time", flags = filter.FLT_CFG_FL_HTX }
UploadTime.__index = UploadTime

function UploadTime:new()
    return setmetatable({ seconds = self.seconds }, UploadTime)
end

function UploadTime:start_analyze(txn, channel)
    if not channel:is_resp() then
        self.deadline = core.now().sec + self.seconds
        filter.register_data_filter(self, channel)
    end
end

function UploadTime:http_payload(txn, message)
    if core.now().sec > self.deadline then
        error("an upload took longer than " .. self.seconds .. " s", 0)
    end
end

core.register_filter("upload_time", UploadTime, function(configured, arguments)
    configured.seconds = tonumber(arguments[1])
    return configured
end)
